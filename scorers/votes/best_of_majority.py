"""The best scored among the answers that enough candidates give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.types import Candidates, Query, Scores, require_share
from nbest.scorers.votes.majority import vote_shares


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfMajority:
    """Scores as `by` does the candidates whose answer has at least `min_share` of the votes.

    Rare answers that fool a reward model never win (Di et al. 2025, "Best-of-Majority", arXiv
    2510.03199). Where no answer is that frequent, those with the most votes stand.

    Example: `BestOfMajority(by=RewardModel(VLLMReward("runs/verifier")), min_share=0.1)`
    """

    by: Scorer
    min_share: float = 0.1

    def __post_init__(self) -> None:
        require_share("min_share", self.min_share)

    @property
    def needs_logprobs(self) -> int | None:
        return self.by.needs_logprobs

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        scores = await self.by(query, candidates)
        shares = vote_shares(candidates.answers)
        most = np.fmax.reduce(shares) if len(shares) else 0.0
        return np.where(shares >= min(self.min_share, most), scores, np.nan)
