"""Confidence intervals: of a mean over questions, of a share, of an area under the ROC curve.

Arrays and counts in, numbers out. Nothing here knows a question, a grader or a scorer.

All tables, curves, replays and reports show `clustered_interval`, so one figure has one interval.
`nbest bench statistics` measures how often it holds the truth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Scores

Clusters = Sequence[str] | Sequence[int]


class Interval(NamedTuple):
    """The ends of a confidence interval of a share."""

    low: float
    high: float


def clustered_interval(
    means: Sequence[float] | Scores, confidence: float = 0.95, clusters: Clusters | None = None
) -> Interval:
    """The interval of the mean over questions, from the mean of each question [Q], in [0, 1].

    Questions are the unit that was drawn, so only the spread between them counts (Miller 2024,
    arXiv 2411.00640). Where several questions come from one template, `clusters` [Q] names it, and
    templates are the unit: see `clustered_mean`.

    Two questions, or templates, are added, one that is always wrong and one that is always right,
    and Student's interval is taken of all: what Agresti and Coull (1998) do to a share, done to a
    mean. So its width is never 0, and it holds the truth in at least 93 of 100 cases for 8
    questions as for 200, near 0 and 1 as well (`nbest bench statistics`); the plain one does so in
    3 of 100 where nearly all questions agree. Without questions it is all of [0, 1].
    """
    values_Q = np.asarray(means, np.float64)
    outside = values_Q[~((values_Q >= 0) & (values_Q <= 1))]  # nan included
    require(outside.size == 0, "means", "lie in [0, 1]", outside[:3].tolist())
    normal_quantile(confidence)
    if values_Q.size == 0:
        return Interval(0.0, 1.0)
    mean = clustered_mean(values_Q, clusters, ends=(0.0, 1.0))
    half = student_quantile(mean.degrees, 0.5 + confidence / 2) * mean.error
    return Interval(max(0.0, mean.mean - half), min(1.0, mean.mean + half))


class ClusteredMean(NamedTuple):
    """A mean over questions, with its standard error and the degrees of freedom of that."""

    mean: float
    error: float
    degrees: float


def clustered_mean(
    values: Scores,
    clusters: Clusters | None = None,
    ends: Sequence[float] = (),
    weights: Scores | None = None,
) -> ClusteredMean:
    """The mean of values [Q], with an error that takes clusters, not values, for independent.

    With `weights` [Q] it is the weighted mean: the ratio of two sums, of values that are ratios.

    The residuals of a cluster are added up before they are squared. Where sizes differ, the large
    clusters pull the mean towards themselves and leave residuals that are too small: each is
    divided by the root of the share of the values that others have, and the degrees of freedom are
    those of Bell and McCaffrey 2002 (Imbens and Kolesar 2016). For clusters of equal size
    this is the plain error of the mean of clusters, with their number less one.

    For each of `ends` a cluster of that value is added, as large as that of a question that is
    picked at random. At least two clusters are needed, added ones included.
    """
    each = np.ones(len(values)) if weights is None else weights
    sizes, sums = _by_cluster(each, clusters), _by_cluster(each * values, clusters)
    size = float(sizes @ sizes / sizes.sum()) if len(sizes) else 1.0
    sizes = np.append(sizes, [size] * len(ends))
    sums = np.append(sums, [size * end for end in ends])
    require(len(sizes) >= 2, "clusters", "be two or more", len(sizes))
    mean = float(sums.sum() / sizes.sum())
    residuals = sums - sizes * mean
    others = 1 - sizes / sizes.sum()  # [G] the share of the values that other clusters have
    error = math.sqrt(float(residuals**2 @ (1 / others))) / float(sizes.sum())
    return ClusteredMean(mean, error, _degrees(sizes, others))


def _degrees(sizes: Scores, others: Scores) -> float:
    """The degrees of freedom of Bell and McCaffrey for a mean, if all values were independent.

    The variance estimate is a quadratic form; they are the squared sum of its eigenvalues over the
    sum of their squares. Its matrix [G, G] is diag(n) - n n' / N, divided by the roots of `others`
    on both sides.
    """
    shares = sizes / sizes.sum()
    trace = float(sizes.sum())  # n_g (1 - n_g / N) / others_g is n_g
    weights = (sizes * shares) / others  # of the part off the diagonal, squared: w_g w_k
    inner = float(weights.sum())
    squares = float(sizes @ sizes) - float(weights @ weights) + inner**2
    return trace**2 / squares


def _by_cluster(values: Scores, clusters: Clusters | None) -> Scores:
    """[G] The sums of clusters; without names each value is its own."""
    if clusters is None:
        return values
    require(len(clusters) == len(values), "clusters", f"name {len(values)} values", len(clusters))
    _, places = np.unique(np.asarray(clusters), return_inverse=True)
    return np.bincount(places, weights=values).astype(np.float64)


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """The score interval of a share (Wilson 1927): every p that a score test does not reject.

    It asks for n independent outcomes: questions, never the samples of one question. Without any
    outcome it is all of [0, 1]. Near 0 and 1 it is liberal: of 8 outcomes with p = 0.98 it holds p
    in 85 of 100 cases, which is why no table shows it.
    """
    # scipy's binomtest(successes, n).proportion_ci(method="wilson") is the same. It computes a
    # p-value, too, and takes a hundred times as long.
    require(0 <= successes <= n, "successes", f"lie in 0..{n}", successes)
    z = normal_quantile(confidence)
    if n == 0:
        return Interval(0.0, 1.0)
    share = successes / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At 0 and at n the end is exact; rounding would put it a little off.
    low = 0.0 if successes == 0 else (centre - half) / (1 + z * z / n)
    high = 1.0 if successes == n else (centre + half) / (1 + z * z / n)
    return Interval(low, high)


def student_quantile(degrees: float, probability: float) -> float:
    """The quantile of Student's t distribution."""
    from scipy.special import stdtrit  # 0.2 s to import

    return float(stdtrit(degrees, probability))


def student_tail(degrees: float, value: float) -> float:
    """The probability that Student's t is above a value."""
    from scipy.special import stdtr

    return float(stdtr(degrees, -value))


def normal_quantile(confidence: float) -> float:
    require(0 < confidence < 1, "confidence", "lie in (0, 1)", confidence)
    return NormalDist().inv_cdf(0.5 + confidence / 2)
