"""Borda voting: the better a candidate's rank, the more its vote counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.types import Candidates, Query, Scores, require
from nbest.scorers.votes.majority import answer_totals
from nbest.scorers.votes.ranks import tie_groups


def borda_weights(scores: Scores, power: float) -> Scores:
    """[N] (N - r + 1)^power for rank r = 1, the best, to N; nan where the score is nan.

    Candidates that tie share the mean of the weights of the ranks that they take up together.
    """
    lower, equal = tie_groups(scores)
    count = int(np.count_nonzero(~np.isnan(scores)))
    sums = np.concatenate(([0.0], np.cumsum(np.arange(1, count + 1, dtype=np.float64) ** power)))
    shares = (sums[lower + equal] - sums[lower]) / np.maximum(equal, 1)
    return np.where(np.isnan(scores), np.nan, shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class Borda:
    """Scores a candidate by the Borda weights of all candidates with its answer.

    Ranks are those of `by`, among the candidates that have an answer and a score. Power 0 is
    plurality; the larger it is, the more the best ones decide (Kang et al. 2025, arXiv 2502.18581,
    with self-certainty as `by`).

    Example: `Borda(by=SelfCertainty(), power=0.5)`
    """

    by: Scorer
    power: float = 1.0

    def __post_init__(self) -> None:
        require(0.0 <= self.power <= 20.0, "power", "lie in [0, 20]", self.power)

    @property
    def needs_logprobs(self) -> int | None:
        return self.by.needs_logprobs

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        scores = await self.by(query, candidates)
        voters = np.array([answer is not None for answer in candidates.answers], np.bool_)
        weights = borda_weights(np.where(voters, scores, np.nan), self.power)
        return answer_totals(candidates.answers, weights)
