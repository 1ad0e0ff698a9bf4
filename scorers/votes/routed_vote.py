"""The vote where it is clear, something else where it is not."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.types import Candidates, Query, Scores, require_share
from nbest.scorers.baselines import First
from nbest.scorers.votes.majority import vote_shares


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedVote:
    """The vote if its winner has at least this share, else what `otherwise` chooses.

    Uncertainty-routed chain of thought (Gemini Team 2023, arXiv 2312.11805, appendix) falls back
    to the greedy answer; the threshold is fitted on other questions. With `otherwise=First()` the
    first sample stands in for the greedy one.

    Example: `RoutedVote(threshold=0.5, otherwise=MeanLogprob())`
    """

    threshold: float
    otherwise: Scorer = field(default_factory=First)

    def __post_init__(self) -> None:
        require_share("threshold", self.threshold)

    @property
    def needs_logprobs(self) -> int | None:
        return self.otherwise.needs_logprobs

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        shares = vote_shares(candidates.answers)
        known = shares[~np.isnan(shares)]
        if len(known) and known.max() >= self.threshold:
            return shares
        return await self.otherwise(query, candidates)
