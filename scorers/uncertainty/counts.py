"""Uncertainties that read how often each answer was given, and nothing else.

Samples without an answer do not count: they disagree with nobody. All of these are functions of the
same counts, so for short answers they order questions nearly alike; the vote share is the one to
beat. None of them sees a model that is wrong in the same way every time.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query, Scores


def answer_counts(candidates: Candidates) -> Scores:
    """[C] How many samples give each of the different answers, the largest first."""
    counts = Counter(answer for answer in candidates.answers if answer is not None)
    return np.array(sorted(counts.values(), reverse=True), np.float64)


def entropy(counts: Scores, correction: Literal["none", "miller_madow"] = "none") -> float:
    """The entropy in nats of the shares of counts [C]; nan without any.

    From N samples it is too low, and never above log N: of ten equally likely answers, whose
    entropy is 2.30, ten samples show 1.78 in the mean. Miller and Madow (1955) add
    (C - 1) / 2N, which leaves little of that. Compare questions of equally many answers alone.
    """
    total = float(counts.sum())
    if not total:
        return math.nan
    shares = counts[counts > 0] / total
    plain = float(-(shares * np.log(shares)).sum())
    bias = (len(shares) - 1) / (2 * total) if correction == "miller_madow" else 0.0
    return max(0.0, plain) + bias


def entropy_at(counts: Scores, n: int) -> float:
    """The mean entropy in nats over all subsets of n of the samples, without correction.

    So questions with different numbers of answers are compared at the same one. Each answer is in
    a subset j times with a hypergeometric chance; the terms -(j/n) log(j/n) are added up.
    """
    total = int(counts.sum())
    require(1 <= n <= total, "n", f"lie in 1..{total}", n)
    return float(sum(_expected_term(int(count), total, n) for count in counts))


def _expected_term(count: int, total: int, n: int) -> float:
    times = np.arange(max(1, n - (total - count)), min(count, n) + 1, dtype=np.float64)
    chances = np.exp(
        _log_choose(count, times)
        + _log_choose(total - count, n - times)
        - _log_choose(total, np.full_like(times, n))
    )
    shares = times / n
    return float(-(chances * shares * np.log(shares)).sum())


def _log_choose(n: int, k: Scores) -> Scores:
    from scipy.special import gammaln  # 0.2 s to import

    chosen: Scores = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return chosen


def pairwise_agreement(counts: Scores) -> float:
    """The share of pairs of samples with the same answer: unbiased, whatever their number.

    nan of fewer than two samples. All samples agreeing, as TARa counts it (Atil et al. 2024, arXiv
    2408.04667), depends on their number.
    """
    total = float(counts.sum())
    if total < 2:
        return math.nan
    return float((counts * (counts - 1)).sum() / (total * (total - 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """The share of the answers that differ from the most frequent one: 1 less the vote share."""

    needs_logprobs: ClassVar[int | None] = None

    async def __call__(self, query: Query, candidates: Candidates) -> float:
        counts = answer_counts(candidates)
        return 1 - float(counts[0] / counts.sum()) if counts.size else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteMargin:
    """1 less how far the most frequent answer is ahead of the second, as a share of the answers."""

    needs_logprobs: ClassVar[int | None] = None

    async def __call__(self, query: Query, candidates: Candidates) -> float:
        counts = answer_counts(candidates)
        if not counts.size:
            return math.nan
        second = counts[1] if counts.size > 1 else 0.0
        return 1 - float((counts[0] - second) / counts.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticEntropy:
    """The entropy of the answers in nats, each meaning counted as often as it was given.

    The discrete form (Farquhar et al. 2024): it needs no log-probabilities, and adds no likelihood
    of a text twice. What means the same is what the run's equivalence has merged.
    """

    needs_logprobs: ClassVar[int | None] = None

    correction: Literal["none", "miller_madow"] = "miller_madow"

    async def __call__(self, query: Query, candidates: Candidates) -> float:
        return entropy(answer_counts(candidates), self.correction)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberOfMeanings:
    """How many different answers there are (Lin et al. 2023, arXiv 2305.19187, "NumSet")."""

    needs_logprobs: ClassVar[int | None] = None

    async def __call__(self, query: Query, candidates: Candidates) -> float:
        counts = answer_counts(candidates)
        return float(counts.size) if counts.size else math.nan
