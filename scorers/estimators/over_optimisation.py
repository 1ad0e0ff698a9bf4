"""Whether more samples make a choice worse: best-of-k chases the scorer's mistakes as k grows.

Gao et al. 2022 (arXiv 2210.10760); Cobbe et al. 2021 (arXiv 2110.14168, section 5.1), whose
verifier was at its best near 400 samples. Curves in, a verdict out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.intervals import (
    Clusters,
    clustered_mean,
    student_quantile,
    student_tail,
)
from nbest.scorers.estimators.paired import holm

REPLICATES = 1000  # of the bootstrap over questions
MOST_TOGETHER = 1_000_000  # counts of questions in replicates
FOLDS = 5  # of the questions, for a verdict on a peak that was found in others
# Levels of the tests. Losses are skewed, so noise raises an alarm somewhat more often than they
# say: on 2.5% of scorers alone, and in 5% of reports, at most (`nbest bench statistics`).
ALONE, TOGETHER = 0.0175, 0.025
FEWEST = 2 * FOLDS  # questions or templates: with fewer nothing can be told
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
    p_value: float  # of the hypothesis that the largest k costs nothing
    fitted_k: float  # the peak of the fitted curve of Gao et al.; inf where it has none
    is_enough: bool = True  # whether there are questions enough to tell
    is_worse: bool  # the loss is certain: p_value is at most ALONE

    @property
    def use_k(self) -> int:
        """How many samples to choose from: all of them unless that is certain to be worse."""
        return self.peak_k if self.is_worse else self.largest_k

    def sentence(self) -> str:
        """The verdict on the accuracy, for a report."""
        peak = f"the highest accuracy, {self.at_peak:.3f}, is at k={self.peak_k}"
        interval = f"95% interval of k: {self.low_k} to {self.high_k}"
        if not self.is_enough:
            return f"too few questions to tell whether more samples make it worse: {peak}"
        if not self.is_worse:
            return f"no over-optimisation is seen up to k={self.largest_k}: {peak} ({interval})"
        return (
            f"OVER-OPTIMISED: more samples make the choice worse; {peak} ({interval}); "
            f"at k={self.largest_k} it is {self.at_largest:.3f}. Use k={self.use_k}"
        )

    def share_sentence(self) -> str:
        """What is seen without labels, in the vote share of what is chosen; it accuses nobody."""
        if not self.is_worse:
            return f"the vote share of what it chooses does not fall up to k={self.largest_k}"
        return (
            f"with more samples it chooses what fewer others say (vote share {self.at_peak:.3f} at "
            f"k={self.peak_k}, {self.at_largest:.3f} at k={self.largest_k}): it knows better than "
            "the vote, or is fooled; gold answers for some questions would tell which"
        )


def watch(
    curves: Scores,
    seed: int = 0,
    reach: float = 1.0,
    *,
    most: Scores | None = None,
    clusters: Clusters | None = None,
) -> Watch:
    """The verdict on the curves of many questions [Q, K], for k = 1..K each.

    With labels the curves are the exact accuracy of best-of-k (`best_of_k` of the verdicts);
    without, the vote share of what best-of-k chooses. Where a scorer is fooled, it picks answers
    that hardly any other sample gives, and that share falls; it also falls where the scorer is
    right against the majority, so it says nothing of better or worse.

    Whether the largest k is worse is judged on questions in which the peak was not looked for, with
    a question added that loses all and one that wins all: noise alone raises the alarm in one of
    forty cases at most, rare right answers among them (`nbest bench statistics`). Of several
    scorers in one report, `judged_together` says which. `reach` is the most that a question can
    lose: 1 for accuracies, the highest share for shares.

    `most` [Q, K] are the curves if all that a grader could not say were right: an alarm is raised
    only where there is a loss whatever it is. `clusters` [Q] names the templates of the questions,
    which then are what is drawn.
    """
    require(curves.ndim == 2 and curves.size > 0, "curves", "have shape [Q, K]", curves.shape)
    ks = grid(curves.shape[1])
    on_grid = curves[:, ks - 1]
    mean = curves.mean(axis=0)
    peak_k = int(np.argmax(mean)) + 1
    of_units = _of_templates(on_grid, clusters)
    kept = ks[_may_be_highest(of_units, seed, reach)]
    last = curves[:, -1] if most is None else most[:, -1]
    loss, p_value = _cross_fitted_loss(on_grid, last, clusters, seed, reach)
    return Watch(
        peak_k=peak_k,
        low_k=min(int(kept.min()), peak_k),
        high_k=max(int(kept.max()), peak_k),
        at_peak=float(mean[peak_k - 1]),
        largest_k=curves.shape[1],
        at_largest=float(mean[-1]),
        loss=loss,
        p_value=p_value,
        fitted_k=fitted_peak(mean),
        is_enough=len(of_units) >= FEWEST,
        is_worse=p_value <= ALONE,
    )


def judged_together(watches: Sequence[Watch]) -> list[Watch]:
    """The verdicts on several scorers of one report, in which one in twenty has a false alarm.

    Their p-values are corrected together (`holm`); a scorer alone is judged as by itself.
    """
    level = min(TOGETHER, ALONE * len(watches))
    corrected = holm([one.p_value for one in watches])
    return [replace(w, is_worse=p <= level) for w, p in zip(watches, corrected, strict=True)]


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


def _may_be_highest(curves: Scores, seed: int, reach: float) -> NDArray[np.bool_]:
    """[K] Whether no other place of the mean curve is higher, beyond doubt: a 95% confidence set.

    Comparisons with the best (Hsu 1981; the model confidence set of Hansen et al. 2011 is of the
    kind). Where a curve saturates its highest place is any of many, and all of them are kept: a
    bootstrap of the peak itself would leave out the true one.
    """
    count = len(curves)
    mean, products = curves.mean(axis=0), curves.T @ curves
    squares = np.diag(products)[:, np.newaxis] + np.diag(products) - 2 * products
    gains = (mean[:, np.newaxis] - mean) * count / (count + 2)  # of j over k, with one of each end
    errors = np.sqrt(((squares + 2 * reach**2) / (count + 2) - gains**2) / (count + 1))
    means = _bootstrap_means(curves, seed) - mean
    least = student_quantile(count + 1, 0.95)
    kept = np.empty(len(mean), np.bool_)
    for k in range(len(mean)):
        drawn = ((means - means[:, k : k + 1]) / errors[:, k]).max(axis=1)
        kept[k] = (gains[:, k] / errors[:, k]).max() <= max(least, float(np.quantile(drawn, 0.95)))
    return kept


def _bootstrap_means(curves: Scores, seed: int) -> Scores:
    """[R, K] The mean curves of questions drawn with replacement."""
    rng = np.random.default_rng(seed)
    count = len(curves)
    shares = np.full(count, 1 / count)
    together = max(1, MOST_TOGETHER // count)  # all at once would take 8 bytes times R times Q
    sizes = [min(together, REPLICATES - done) for done in range(0, REPLICATES, together)]
    drawn = [rng.multinomial(count, shares, size) @ curves for size in sizes]
    means: Scores = np.concatenate(drawn) / count
    return means


def _of_templates(curves: Scores, clusters: Clusters | None) -> Scores:
    """[G, K] The curves of templates, so that their mean is that of the questions [Q, K]."""
    if clusters is None:
        return curves
    names, places = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.zeros((len(names), curves.shape[1]))
    np.add.at(sums, places, curves)
    return sums * (len(names) / len(curves))


def _cross_fitted_loss(
    curves: Scores, last: Scores, clusters: Clusters | None, seed: int, reach: float
) -> tuple[float, float]:
    """The mean loss of the last k, and the p-value of the hypothesis that there is none.

    A question's loss is its height at the peak of the other folds less its height at the last k
    [Q]. A template is in one fold. With too few for that the p-value is 1.
    """
    names = np.arange(len(curves)) if clusters is None else np.asarray(clusters)
    units, places = np.unique(names, return_inverse=True)
    if len(units) < FEWEST:
        return float(np.max(curves.mean(axis=0)) - last.mean()), 1.0
    fold = (np.random.default_rng(seed).permutation(len(units)) % FOLDS)[places]
    losses = np.empty(len(curves))
    for k in range(FOLDS):
        peak = int(np.argmax(curves[fold != k].mean(axis=0).round(9)))
        losses[fold == k] = curves[fold == k, peak] - last[fold == k]
    # A rare loss makes the plain test far too sure: one of each end is added.
    mean = clustered_mean(losses, clusters, ends=(-reach, reach))
    return float(losses.mean()), student_tail(mean.degrees, mean.mean / mean.error)
