"""The best answer by a mean score that trusts rare answers less."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.types import Candidates, Query, Scores, require
from nbest.scorers.votes.majority import answer_totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Pessimistic:
    """Scores a candidate by the mean score of its answer, less a penalty for few samples.

    mean of `by` over the n candidates with the answer - alpha log(N) / (n + 1), with N votes in
    all: a lower bound on what the answer is worth, as in pessimism for offline decisions (Huang et
    al. 2025, arXiv 2503.21878, on best-of-N; the form of the penalty is a proposal of ours). The
    units of alpha are those of the score; at 0 it is the mean score of an answer.

    Example: `Pessimistic(by=RewardModel(VLLMReward("runs/verifier")), alpha=1.0)`
    """

    by: Scorer
    alpha: float = 1.0

    def __post_init__(self) -> None:
        require(self.alpha >= 0, "alpha", "be 0 or more", self.alpha)

    @property
    def needs_logprobs(self) -> int | None:
        return self.by.needs_logprobs

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        scores = await self.by(query, candidates)
        voters = np.array([answer is not None for answer in candidates.answers], np.bool_)
        known = np.where(voters, scores, np.nan)
        votes = np.where(np.isnan(known), np.nan, 1.0)
        counts = answer_totals(candidates.answers, votes)
        total = max(1, int(np.count_nonzero(~np.isnan(known))))
        means = answer_totals(candidates.answers, known) / counts
        return means - self.alpha * math.log(total) / (counts + 1)
