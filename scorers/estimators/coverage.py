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

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Scores

Counts = NDArray[np.int64]

FEWEST = 10  # questions with right and wrong samples: fewer know nothing of a law
MOST_TIMES = 100  # as many samples as were drawn: beyond it a law is all there is
GRID = 24  # steps along each setting of a law
_REACH = 2.71  # below the greatest log-likelihood; 1.92, that of chi-squared, is too little for 32


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
    """Coverage at a k that was not drawn, if a law holds, and its range over laws."""

    coverage: float  # of the likeliest beta-binomial law
    low: float  # of all laws that the samples do not contradict, at 95%
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


def extrapolate(right: Counts, drawn: Counts, ks: Sequence[int]) -> list[Extrapolation]:
    """Coverage of each k of `ks` samples, from right samples of those drawn [Q] each.

    No sample says what lies beyond those that were drawn: a law does. The estimate is that of the
    likeliest beta-binomial; the range is over all laws in which a share of the questions is never
    solved, maybe none, and the others follow a beta-binomial, as far as the samples do not
    contradict them (95% profile likelihood). InputError where fewer than `FEWEST` questions are
    right in some samples and wrong in others, for one law is then as good as any other, and where k
    is more than `MOST_TIMES` the samples of a question.
    """
    _check(right, drawn)
    partly = int(np.count_nonzero((right > 0) & (right < drawn)))
    rule = f"have {FEWEST} questions or more with right and wrong samples"
    require(partly >= FEWEST, "beyond", rule, partly)
    most = MOST_TIMES * int(drawn.min())
    for k in ks:
        require(k <= most, "beyond", f"be at most {most:,}, {MOST_TIMES} times the samples", k)
    fit = fit_beta_binomial(right, drawn)
    laws = _likely_laws(right, drawn, fit)
    points = []
    for k in ks:
        coverage, among = fit.coverage(k), laws.coverage(k)
        low, high = min(float(among.min()), coverage), max(float(among.max()), coverage)
        points.append(Extrapolation(coverage, low, high))
    return points


@dataclass(frozen=True, slots=True, kw_only=True)
class _Laws:
    """Laws side by side [L]: a share of questions that is never solved, and a Beta for the rest."""

    never: Scores
    alpha: Scores
    beta: Scores

    def coverage(self, k: int) -> Scores:
        """[L] The share of questions that k samples solve under each law."""
        from scipy.special import betaln

        log = betaln(self.alpha, self.beta + k) - betaln(self.alpha, self.beta)
        shares: Scores = (1 - self.never) * -np.expm1(log)
        return shares

    def log_likelihood(self, right: Counts, drawn: Counts) -> Scores:
        """[L] Of right samples of those drawn; binomial coefficients are left out."""
        from scipy.special import betaln

        pairs, times = np.unique(np.stack([right, drawn]), axis=1, return_counts=True)
        total = np.zeros(len(self.alpha))
        for hits, n, count in zip(*pairs, times, strict=True):
            log = betaln(hits + self.alpha, n - hits + self.beta) - betaln(self.alpha, self.beta)
            with np.errstate(divide="ignore"):
                log = log + np.log1p(-self.never)
                total += count * (np.logaddexp(log, np.log(self.never)) if hits == 0 else log)
        return total

    def at(self, places: NDArray[np.bool_]) -> _Laws:
        return _Laws(never=self.never[places], alpha=self.alpha[places], beta=self.beta[places])


def _likely_laws(right: Counts, drawn: Counts, fit: BetaBinomial) -> _Laws:
    """The laws of a grid that are nearly as likely as the likeliest one: at 95%, as measured.

    The grid is laid over the laws that the last one has not ruled out, three times.
    """
    mean, size = fit.alpha / (fit.alpha + fit.beta), fit.alpha + fit.beta
    middle = math.log(mean / (1 - mean))
    box = [(0.0, 1.0 - 1e-6), (middle - 6, middle + 6), (math.log(size) - 6, math.log(size) + 6)]
    for reach in (12.0, 4.0, _REACH):
        laws, axes = _grid(box)
        likelihood = laws.log_likelihood(right, drawn)
        kept = likelihood >= likelihood.max() - reach
        box = [
            (
                max(bottom, float(axis[kept].min()) - (top - bottom) / GRID),
                min(top, float(axis[kept].max()) + (top - bottom) / GRID),
            )
            for axis, (bottom, top) in zip(axes, box, strict=True)
        ]
    return laws.at(kept)


def _grid(box: Sequence[tuple[float, float]]) -> tuple[_Laws, list[Scores]]:
    """All laws of a grid over shares never solved, logits of the mean, logarithms of the size."""
    sides = [np.linspace(low, high, GRID + 1) for low, high in box]
    never, logit, log_size = (axis.ravel() for axis in np.meshgrid(*sides, indexing="ij"))
    mean, size = 1 / (1 + np.exp(-logit)), np.exp(log_size)
    return _Laws(never=never, alpha=mean * size, beta=(1 - mean) * size), [never, logit, log_size]


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
