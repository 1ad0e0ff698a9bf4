"""Confidence intervals: of a share, and of a mean over questions.

Arrays and counts in, numbers out. Nothing here knows a question, a grader or a scorer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from nbest.orchestrator.types import Scores, require


class Interval(NamedTuple):
    """The ends of a confidence interval of a share."""

    low: float
    high: float


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """The score interval of a share (Wilson 1927): every p that a score test does not reject.

    It asks for n independent outcomes: questions, never the samples of one question. Without any
    outcome it is all of [0, 1].
    """
    # scipy's binomtest(successes, n).proportion_ci(method="wilson") is the same. It computes a
    # p-value, too, and takes a hundred times as long, for thousands of intervals in a report.
    require(0 <= successes <= n, "successes", f"lie in 0..{n}", successes)
    z = _quantile(confidence)
    if n == 0:
        return Interval(0.0, 1.0)
    share = successes / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At 0 and at n the end is exact; rounding would put it a little off.
    low = 0.0 if successes == 0 else (centre - half) / (1 + z * z / n)
    high = 1.0 if successes == n else (centre + half) / (1 + z * z / n)
    return Interval(low, high)


def clustered_interval(means: Sequence[float] | Scores, confidence: float = 0.95) -> Interval:
    """The interval of the mean over questions, from the mean of each question [Q], in [0, 1].

    Questions are the unit that was drawn, so only the spread between them counts: for questions
    with equally many samples this is the clustered standard error of Miller 2024 (arXiv
    2411.00640), with Q - 1 in place of Q. The theory is normal, not Student's: right from some
    thirty questions on, a little narrow below. Fewer than two questions leave all of [0, 1]. Where
    all questions agree the width is 0; for one 0/1 outcome a question prefer `wilson_interval`.
    """
    means_Q = np.asarray(means, np.float64)
    outside = means_Q[~((means_Q >= 0) & (means_Q <= 1))]  # nan included
    require(outside.size == 0, "means", "lie in [0, 1]", outside[:3].tolist())
    z = _quantile(confidence)
    if means_Q.size < 2:
        return Interval(0.0, 1.0)
    mean = float(means_Q.mean())
    half = z * float(means_Q.std(ddof=1)) / math.sqrt(means_Q.size)
    return Interval(max(0.0, mean - half), min(1.0, mean + half))


def _quantile(confidence: float) -> float:
    require(0 < confidence < 1, "confidence", "lie in (0, 1)", confidence)
    return NormalDist().inv_cdf(0.5 + confidence / 2)
