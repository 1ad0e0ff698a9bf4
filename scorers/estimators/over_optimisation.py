"""Whether more samples make a choice worse: best-of-k chases the scorer's mistakes as k grows.

Gao et al. 2022 (arXiv 2210.10760); Cobbe et al. 2021 (arXiv 2110.14168, section 5.1), whose
verifier was at its best near 400 samples. Curves in, a verdict out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.types import Scores, require

REPLICATES = 1000  # of the bootstrap over questions
MOST_TOGETHER = 1_000_000  # counts of questions in replicates
FOLDS = 5  # of the questions, for a verdict on a peak that was found in others
GRID = 200  # numbers of samples that are looked at, evenly spread on a logarithmic scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What the curves of a scorer say about the number of samples to choose from.

    The interval of the peak is wide where the curve is flat, as it should be: then the number
    matters little. `is_worse` is the alarm.
    """

    peak_k: int  # where the mean curve is highest; the smallest of equals
    low_k: int  # of the 95% interval of the peak, by bootstrap over questions
    high_k: int
    at_peak: float  # height of the mean curve there
    largest_k: int
    at_largest: float
    loss: float  # what the largest k costs against a peak found in other questions
    loss_low: float  # of the one-sided 97.5% interval of the loss
    fitted_k: float  # the peak of the fitted curve of Gao et al.; inf where it has none
    is_worse: bool  # the loss is certain

    @property
    def use_k(self) -> int:
        """How many samples to choose from: all of them unless that is certain to be worse."""
        return self.peak_k if self.is_worse else self.largest_k

    def sentence(self, what: str = "accuracy") -> str:
        """The verdict for a report."""
        peak = f"the highest {what}, {self.at_peak:.3f}, is at k={self.peak_k}"
        interval = f"95% interval {self.low_k} to {self.high_k}"
        if not self.is_worse:
            return f"no over-optimisation is seen up to k={self.largest_k}: {peak} ({interval})"
        return (
            f"OVER-OPTIMISED: more samples make the choice worse; {peak} ({interval}); "
            f"at k={self.largest_k} it is {self.at_largest:.3f}. Use k={self.use_k}"
        )


def watch(curves: Scores, seed: int = 0) -> Watch:
    """The verdict on the curves of many questions [Q, K], for k = 1..K each.

    With labels the curves are the exact accuracy of best-of-k (`best_of_k` of the verdicts);
    without, the vote share of what best-of-k chooses: where a scorer is fooled, it picks answers
    that hardly any other sample gives, and that share falls before or with the accuracy.

    Whether the largest k is worse is judged on questions in which the peak was not looked for, so
    noise alone raises the alarm in one of forty cases at most.
    """
    require(curves.ndim == 2 and curves.size > 0, "curves", "have shape [Q, K]", curves.shape)
    ks = grid(curves.shape[1])
    on_grid = curves[:, ks - 1]
    mean = curves.mean(axis=0)
    peak_k = int(np.argmax(mean)) + 1
    peaks = _bootstrap_peaks(on_grid, ks, seed)
    loss, loss_low = _cross_fitted_loss(on_grid, seed)
    low, high = np.quantile(peaks, [0.025, 0.975], method="inverted_cdf")
    return Watch(
        peak_k=peak_k,
        low_k=min(int(low), peak_k),
        high_k=max(int(high), peak_k),
        at_peak=float(mean[peak_k - 1]),
        largest_k=curves.shape[1],
        at_largest=float(mean[-1]),
        loss=loss,
        loss_low=loss_low,
        fitted_k=fitted_peak(mean),
        is_worse=loss_low > 0,
    )


def grid(largest: int) -> NDArray[np.int64]:
    """Numbers from 1 to `largest`, all of them where they are few."""
    if largest <= GRID:
        return np.arange(1, largest + 1)
    return np.unique(np.geomspace(1, largest, GRID).round().astype(np.int64))


def best_of_n_kl(k: Scores) -> Scores:
    """[K] nats between best-of-k and one sample: log k - (k - 1) / k.

    Stiennon et al. 2020 (arXiv 2009.01325, appendix G.3); exact where no scores tie.
    """
    divergence: Scores = np.log(k) - (k - 1) / k
    return divergence


def fitted_peak(mean: Scores) -> float:
    """The k at which d (alpha - beta d) is highest, fitted to what a mean curve [K] gains over k=1.

    d is the square root of the divergence (Gao et al. 2022, section 3). Infinite where the fit does
    not turn down.
    """
    ks = grid(len(mean))
    distance = np.sqrt(best_of_n_kl(ks.astype(np.float64)))
    terms = np.stack([distance, -(distance**2)], axis=1)
    (alpha, beta), *_ = np.linalg.lstsq(terms, mean[ks - 1] - mean[0], rcond=None)
    if alpha <= 0 or beta <= 0:
        return math.inf
    kl = (alpha / (2 * beta)) ** 2
    # log k - 1 + 1/k rises with k: the root is bracketed by 1 and exp(kl + 1).
    from scipy.optimize import brentq

    if kl > 50:
        return math.inf
    return float(brentq(lambda k: math.log(k) - 1 + 1 / k - kl, 1.0, math.exp(kl + 1.0)))


def _bootstrap_peaks(curves: Scores, ks: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """[R] the k at which the mean curve of questions drawn with replacement is highest."""
    rng = np.random.default_rng(seed)
    count = len(curves)
    shares = np.full(count, 1 / count)
    together = max(1, MOST_TOGETHER // count)  # all at once would take 8 bytes times R times Q
    sizes = [min(together, REPLICATES - done) for done in range(0, REPLICATES, together)]
    means = np.concatenate([rng.multinomial(count, shares, size) @ curves for size in sizes])
    # Rounded, for equal heights must not differ by the last bit and put the peak anywhere.
    peaks: NDArray[np.int64] = ks[np.argmax(means.round(9), axis=1)]
    return peaks


def _cross_fitted_loss(curves: Scores, seed: int) -> tuple[float, float]:
    """The mean loss of the last k, and the lower end of its one-sided 97.5% interval.

    A question's loss is its height at the peak of the other folds less its height at the last k.
    With too few questions for that the lower end is -inf.
    """
    count = len(curves)
    if count < 2 * FOLDS:
        return float(np.max(curves.mean(axis=0)) - curves[:, -1].mean()), -math.inf
    fold = np.random.default_rng(seed).permutation(count) % FOLDS
    losses = np.empty(count)
    for k in range(FOLDS):
        peak = int(np.argmax(curves[fold != k].mean(axis=0).round(9)))
        losses[fold == k] = curves[fold == k, peak] - curves[fold == k, -1]
    error = float(losses.std(ddof=1)) / math.sqrt(count)
    mean = float(losses.mean())
    return mean, mean - NormalDist().inv_cdf(0.975) * error
