"""Votes whose weights are ranks: the better another scorer finds a candidate, the more it counts.

A vote among the best alone (Cobbe et al. 2021, arXiv 2110.14168, figure 7b), Borda counts, and the
majority of the bests. With many samples they do better than the best alone, for a candidate that
fools the scorer is outvoted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.votes.majority import answer_totals

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedBy:
    """Base of the selectors that rank candidates by another scorer."""

    by: Scorer

    @property
    def needs_logprobs(self) -> int | None:
        return self.by.needs_logprobs

    async def ranked(self, query: Query, candidates: Candidates) -> Scores:
        """[N] the scores of `by`; nan for a candidate without an answer, which has no vote."""
        scores = await self.by(query, candidates)
        has_answer = np.array([answer is not None for answer in candidates.answers], np.bool_)
        return np.where(has_answer, scores, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopVote(RankedBy):
    """Scores a candidate by the votes for its answer among the k that `by` ranks highest.

    Where scores tie at the k-th place, all of these share the places that remain: the order of
    the candidates does not matter. Candidates without a score do not vote.

    Example: `TopVote(by=RewardModel(VLLMReward("runs/verifier")), k=8)`
    """

    k: int

    def __post_init__(self) -> None:
        require(self.k >= 1, "k", "be at least 1", self.k)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        weights = top_weights(await self.ranked(query, candidates), self.k)
        return answer_totals(candidates.answers, weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Borda(RankedBy):
    """Scores a candidate by the Borda weights of all candidates with its answer.

    Ranks are those of `by`, among the candidates that have an answer and a score. Power 0 is
    plurality; the larger it is, the more the best ones decide (Kang et al. 2025, arXiv 2502.18581,
    with self-certainty as `by`).

    Example: `Borda(by=SelfCertainty(), power=0.5)`
    """

    power: float = 1.0

    def __post_init__(self) -> None:
        require(0.0 <= self.power <= 20.0, "power", "lie in [0, 20]", self.power)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        weights = borda_weights(await self.ranked(query, candidates), self.power)
        return answer_totals(candidates.answers, weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class MajorityOfBests(RankedBy):
    """Scores a candidate by how likely the best of m candidates has its answer.

    It lies between best-of-N (m = N) and a vote (m = 1): a single candidate that fools `by` wins
    only as often as it is drawn. By default m is the square root of N, rounded up. Rakhsha et al.
    2025, "Majority of the Bests", draw bootstrap samples; how often a candidate is the best of m,
    drawn from a pool without replacement, is known exactly, so nothing is drawn here.

    Example: `MajorityOfBests(by=MeanLogprob(), m=4)`
    """

    m: int | None = None

    def __post_init__(self) -> None:
        require(self.m is None or self.m >= 1, "m", "be at least 1", self.m)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        scores = await self.ranked(query, candidates)
        count = int(np.count_nonzero(~np.isnan(scores)))
        m = self.m if self.m is not None else math.isqrt(max(count - 1, 0)) + 1
        return answer_totals(candidates.answers, best_of_m_chances(scores, m))


def top_weights(scores: Scores, k: int) -> Scores:
    """[N] 1 for those above the k-th highest, a share for those that tie with it, nan below.

    >>> top_weights(np.array([3.0, 1.0, 2.0, 2.0]), 2).tolist()
    [1.0, nan, 0.5, 0.5]
    """
    ordered = np.sort(scores[~np.isnan(scores)])
    if len(ordered) <= k:
        return np.where(np.isnan(scores), np.nan, 1.0)
    last = ordered[-k]
    above = int(np.count_nonzero(ordered > last))
    tied = int(np.count_nonzero(ordered == last))
    share = (k - above) / tied
    weights: Scores = np.select([scores > last, scores == last], [1.0, share], np.nan)
    return weights


def borda_weights(scores: Scores, power: float) -> Scores:
    """[N] (N - r + 1)^power for rank r = 1, the best, to N; nan where the score is nan.

    Candidates that tie share the mean of the weights of the ranks that they take up together.
    """
    lower, equal = tie_groups(scores)
    count = int(np.count_nonzero(~np.isnan(scores)))
    sums = np.concatenate(([0.0], np.cumsum(np.arange(1, count + 1, dtype=np.float64) ** power)))
    shares = (sums[lower + equal] - sums[lower]) / np.maximum(equal, 1)
    return np.where(np.isnan(scores), np.nan, shares)


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


def tie_groups(scores: Scores) -> tuple[Counts, Counts]:
    """For each score, how many are lower, and how many are equal to it, itself included.

    [N] each. Nan counts for nothing: where the score is nan, both are 0.

    >>> [counts.tolist() for counts in tie_groups(np.array([0.5, 0.1, 0.5, np.nan]))]
    [[1, 0, 1, 0], [2, 1, 2, 0]]
    """
    is_scored = ~np.isnan(scores)
    ordered = np.sort(scores[is_scored])
    lower = np.searchsorted(ordered, scores, side="left")
    equal = np.searchsorted(ordered, scores, side="right") - lower
    return np.where(is_scored, lower, 0), np.where(is_scored, equal, 0)
