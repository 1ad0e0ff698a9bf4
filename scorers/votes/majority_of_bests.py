"""Majority of the bests: the answer that best-of-m gives most often.

Rakhsha et al. 2025, "Majority of the Bests". They draw bootstrap samples; how often a candidate is
the best of m, drawn from a pool without replacement, is known exactly, so nothing is drawn here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.types import Candidates, Query, Scores, require
from nbest.scorers.votes.majority import answer_totals
from nbest.scorers.votes.ranks import tie_groups


def best_of_m_chances(scores: Scores, m: int) -> Scores:
    """[N] how likely each is the best of m that are drawn without replacement; nan where nan.

    With b lower scores and t equal ones, those t are the best together with probability
    (C(b + t, m) - C(b, m)) / C(N, m), and each of them equally often. An m beyond N is N.
    """
    lower, equal = tie_groups(scores)
    count = int(np.count_nonzero(~np.isnan(scores)))
    m = min(m, count)
    subsets = math.comb(count, m)
    chance = {
        (b, t): (math.comb(b + t, m) - math.comb(b, m)) / subsets / t
        for b, t in set(zip(lower.tolist(), equal.tolist(), strict=True))
        if t
    }
    pairs = zip(lower.tolist(), equal.tolist(), strict=True)
    return np.array([chance.get(pair, math.nan) for pair in pairs], np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class MajorityOfBests:
    """Scores a candidate by how likely the best of m candidates has its answer.

    It lies between best-of-N (m = N) and a vote (m = 1): a single candidate that fools `by` wins
    only as often as it is drawn. By default m is the square root of N, rounded up.

    Example: `MajorityOfBests(by=MeanLogprob(), m=4)`
    """

    by: Scorer
    m: int | None = None

    def __post_init__(self) -> None:
        require(self.m is None or self.m >= 1, "m", "be at least 1", self.m)

    @property
    def needs_logprobs(self) -> int | None:
        return self.by.needs_logprobs

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        scores = await self.by(query, candidates)
        voters = np.array([answer is not None for answer in candidates.answers], np.bool_)
        eligible = np.where(voters, scores, np.nan)
        count = int(np.count_nonzero(~np.isnan(eligible)))
        m = self.m if self.m is not None else math.isqrt(max(count - 1, 0)) + 1
        return answer_totals(candidates.answers, best_of_m_chances(eligible, m))
