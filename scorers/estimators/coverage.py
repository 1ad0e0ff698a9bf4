"""Coverage beyond the samples that were drawn: what share of questions k samples would solve.

Counts in, numbers out. Nothing here knows a question or a grader.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.types import Scores, require

Counts = NDArray[np.int64]

REPLICATES = 200  # of the bootstrap over questions: each is a fit


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaBinomial:
    """Questions whose chance of a right sample is Beta(alpha, beta) distributed."""

    alpha: float
    beta: float

    def coverage(self, k: int) -> float:
        """The share of questions that k samples solve: 1 - B(alpha, beta + k) / B(alpha, beta).

        For large k it falls short of 1 by about k^-alpha (Schaeffer et al. 2025, arXiv 2502.17578):
        the many small chances near 0 decide.
        """
        require(k >= 1, "k", "be at least 1", k)
        if self.alpha == 0:
            return 0.0
        from scipy.special import betaln

        log = betaln(self.alpha, self.beta + k) - betaln(self.alpha, self.beta)
        return float(-np.expm1(log))


NEVER_RIGHT = BetaBinomial(alpha=0.0, beta=1.0)


class Extrapolation(NamedTuple):
    """Coverage at a k that was not drawn, with its 95% interval over questions."""

    coverage: float
    low: float
    high: float


def fit_beta_binomial(right: Counts, drawn: Counts) -> BetaBinomial:
    """The Beta distribution of greatest likelihood, from right samples of those drawn [Q] each.

    Where no question has a right sample, alpha is 0: coverage is 0 for every k.
    """
    _check(right, drawn)
    if not right.any():
        return NEVER_RIGHT
    share = float(np.sum(right) / np.sum(drawn))
    starts = [(math.log(size * max(share, 1e-3)), math.log(size)) for size in (0.3, 3.0)]
    return _fitted(right, drawn, starts)


def _fitted(right: Counts, drawn: Counts, starts: Sequence[tuple[float, float]]) -> BetaBinomial:
    """The likeliest of the fits that start at these logarithms of alpha and beta."""
    from scipy.optimize import minimize
    from scipy.special import betaln

    # Questions with the same counts are one term.
    pairs, times = np.unique(np.stack([right, drawn]), axis=1, return_counts=True)
    hits, misses = pairs[0], pairs[1] - pairs[0]

    def loss(logs: Scores) -> float:
        alpha, beta = np.exp(logs)
        terms = betaln(hits + alpha, misses + beta) - betaln(alpha, beta)
        return -float(np.dot(times, terms))

    # Beyond these the likelihood is flat: all questions alike, or each right always or never.
    bounds = [(math.log(1e-4), math.log(1e4))] * 2
    fits = [minimize(loss, start, method="L-BFGS-B", bounds=bounds) for start in starts]
    alpha, beta = np.exp(min(fits, key=lambda fit: fit.fun).x)
    return BetaBinomial(alpha=float(alpha), beta=float(beta))


def extrapolate(
    right: Counts, drawn: Counts, ks: Sequence[int], seed: int = 0, replicates: int = REPLICATES
) -> list[Extrapolation]:
    """Coverage of each k of `ks` samples, from right samples of those drawn [Q] each.

    A beta-binomial is fitted; the interval is from a bootstrap over questions, the same for all k.
    """
    whole = fit_beta_binomial(right, drawn)
    if whole.alpha == 0:
        return [Extrapolation(0.0, 0.0, 1.0) for _ in ks]  # nothing was right: anything may come
    fits = _bootstrap_fits(whole, right, drawn, seed, replicates)
    points = []
    for k in ks:
        coverage = whole.coverage(k)
        low, high = np.quantile([fit.coverage(k) for fit in fits], [0.025, 0.975])
        low, high = min(float(low), coverage), max(float(high), coverage)
        points.append(Extrapolation(coverage, low, high))
    return points


def _bootstrap_fits(
    whole: BetaBinomial, right: Counts, drawn: Counts, seed: int, replicates: int
) -> list[BetaBinomial]:
    """[replicates] the fits to as many questions, drawn with replacement."""
    start = (math.log(whole.alpha), math.log(whole.beta))
    rng = np.random.default_rng(seed)
    fits = []
    for _ in range(replicates):
        places = rng.integers(0, len(right), len(right))
        has_right = bool(right[places].any())
        fits.append(_fitted(right[places], drawn[places], [start]) if has_right else NEVER_RIGHT)
    return fits


class PowerLaw(NamedTuple):
    """log c = -a k^-b: the log-linear law of Brown et al. 2024 (arXiv 2407.21787, equation 2)."""

    a: float
    b: float

    def coverage(self, k: int) -> float:
        return math.exp(-self.a * k**-self.b)


def fit_power_law(ks: Counts, coverage: Scores) -> PowerLaw:
    """Fit the law to a curve [K], by least squares of log(-log c) on log k.

    The points at 0 and 1 are left out; InputError where fewer than two others remain.
    """
    inner = (coverage > 0) & (coverage < 1)
    count = int(np.count_nonzero(inner))
    require(count >= 2, "coverage", "lie inside (0, 1) at 2 points or more", count)
    slope, intercept = np.polyfit(np.log(ks[inner]), np.log(-np.log(coverage[inner])), 1)
    return PowerLaw(a=float(np.exp(intercept)), b=float(-slope))


def _check(right: Counts, drawn: Counts) -> None:
    require(right.shape == drawn.shape, "drawn", f"have shape {right.shape}", drawn.shape)
    require(right.size > 0, "right", "hold a question", right.size)
    holds = bool(np.all((right >= 0) & (right <= drawn)))
    require(holds, "right", "lie in 0..drawn for each question", int(right.max()))
