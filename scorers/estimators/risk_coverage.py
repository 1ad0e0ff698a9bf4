"""When to give no answer: risk against coverage, and thresholds with a guarantee.

A selector answers a question with a confidence; below a threshold it abstains. Coverage is the
share of the questions that get an answer, risk the share of wrong ones among these answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.requirements import require
from nbest.scorers.estimators.intervals import (
    Clusters,
    Interval,
    clustered_mean,
    student_quantile,
)

Floats = NDArray[np.float64]

MOST_TRIED = 50  # numbers of unknown answers that may be right


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskPoint:
    """Coverage and risk of answering where the confidence is at least `threshold`."""

    threshold: float
    coverage: float  # answered questions over all questions
    risk: float  # wrong answers over answered questions


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """A threshold, and what was measured and tested at it."""

    threshold: float
    coverage: float  # of the questions that it was fitted on, those without an answer among them
    risk: float  # on the same questions
    upper: float  # Clopper-Pearson bound of the risk


def risk_coverage(
    confidence: Sequence[float], is_right: Sequence[bool], n_queries: int | None = None
) -> list[RiskPoint]:
    """The curve (Geifman and El-Yaniv 2017, arXiv 1705.08500), strictest threshold first.

    One point for each distinct confidence [M], for equal ones are answered together or not at all.
    `confidence` and `is_right` are [Q] over the questions that have an answer to give; `n_queries`,
    their number by default, counts those without one as well.
    """
    scores, right = np.asarray(confidence, np.float64), np.asarray(is_right, np.bool_)
    thresholds, groups, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    wrong = np.bincount(groups, weights=~right, minlength=len(thresholds))
    answered = np.cumsum(counts)
    risks = np.cumsum(wrong) / answered
    total = n_queries if n_queries is not None else len(scores)
    return [
        RiskPoint(threshold=-float(t), coverage=float(n) / total, risk=float(r))
        for t, n, r in zip(thresholds, answered, risks, strict=True)
    ]


def aurc(
    confidence: Sequence[float], is_right: Sequence[bool], n_queries: int | None = None
) -> float:
    """The mean risk over the Q coverages 1/Q, 2/Q, ... 1; lower is better, nan without questions.

    Where confidences tie, the questions among them are answered in any order: the mean over all
    orders, which is what each of them adds if it were answered by a share. Of `n_queries` questions
    those without an answer come last, and are wrong: to answer all is not to be had for less.
    """
    without = (n_queries or len(confidence)) - len(confidence)
    confidence = [*confidence, *[-math.inf] * without]
    points = risk_coverage(confidence, [*is_right, *[False] * without])
    if not points:
        return math.nan
    total = len(confidence)
    area, answered, errors = 0.0, 0, 0.0
    for point in points:
        upto = round(point.coverage * total)
        wrong = point.risk * upto - errors
        steps = np.arange(1, upto - answered + 1, dtype=np.float64)
        expected = errors + steps * wrong / (upto - answered)
        area += float(np.sum(expected / (answered + steps)))
        answered, errors = upto, errors + wrong
    return area / total


def auroc(confidence: Sequence[float], is_right: Sequence[bool]) -> float:
    """How often a right answer has the higher confidence than a wrong one; ties count half.

    0.5 says that the confidence knows nothing; nan where all are right or all wrong.
    """
    # scipy.stats.mannwhitneyu counts the same pairs. It takes thirty times as long for a thousand
    # questions, and a second to import, for which every `nbest select --json` would have to wait.
    scores, right = np.asarray(confidence, np.float64), np.asarray(is_right, np.bool_)
    wrong_scores = np.sort(scores[~right])
    if len(wrong_scores) in (0, len(scores)):
        return math.nan
    below = np.searchsorted(wrong_scores, scores[right], side="left")
    upto = np.searchsorted(wrong_scores, scores[right], side="right")
    return float(np.mean((below + upto) / 2) / len(wrong_scores))


def auroc_interval(
    confidence: Sequence[float],
    is_right: Sequence[bool],
    level: float = 0.95,
    clusters: Clusters | None = None,
) -> Interval:
    """The interval of `auroc`, over questions; all of [0, 1] where all are right or all wrong.

    DeLong et al. 1988: the spread of how many wrong answers each right one beats, and of how many
    right ones each wrong one. To both, half an answer is added that beats all and half of one that
    beats none, as `clustered_interval` does with questions, and Student's quantile is that of Welch
    and Satterthwaite: the plain one holds the truth in 20 of 100 cases for few and clear answers.
    Where questions come from templates, `clusters` [Q] names these: what their answers add is
    summed up before it is squared (Obuchowski 1997).
    """
    scores, right = np.asarray(confidence, np.float64), np.asarray(is_right, np.bool_)
    if right.all() or not right.any():
        return Interval(0.0, 1.0)
    of_right = _beaten_shares(scores[right], scores[~right])
    of_wrong = 1 - _beaten_shares(scores[~right], scores[right])
    one, other = _variance_of_mean(of_right), _variance_of_mean(of_wrong)
    degrees = (one + other) ** 2 / (one**2 / len(of_right) + other**2 / len(of_wrong))
    variance = one + other
    if clusters is not None:
        adds = np.empty(len(scores))  # of each answer to the figure
        adds[right] = (of_right - of_right.mean()) / len(of_right)
        adds[~right] = (of_wrong - of_wrong.mean()) / len(of_wrong)
        half_off = (0.5 / len(of_right) + 0.5 / len(of_wrong)) / 2  # beaten by half of the others
        mean = clustered_mean(adds, clusters, ends=(-half_off, half_off))
        variance = max(variance, (len(adds) * mean.error) ** 2)
        degrees = min(degrees, mean.degrees)
    fewer = min(len(of_right), len(of_wrong))
    centre = (fewer * float(of_right.mean()) + 0.5) / (fewer + 1)
    half = student_quantile(degrees, 0.5 + level / 2) * math.sqrt(variance)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def auroc_bounds(
    confidence: Sequence[float], verdicts: Sequence[float], clusters: Clusters | None = None
) -> Interval:
    """The ends of `auroc_interval` over all that unknown verdicts may be: 1 right, 0 wrong, nan.

    With a given number of them right, `auroc` is least where the right ones are those of lowest
    confidence, and greatest where they are those of highest: these numbers are tried, at most
    `MOST_TRIED` of them, and the widest ends are taken.
    """
    scores, known = np.asarray(confidence, np.float64), np.asarray(verdicts, np.float64)
    unknown = np.flatnonzero(np.isnan(known))
    ranked = unknown[np.argsort(scores[unknown], kind="stable")]
    counts = np.unique(np.linspace(0, len(ranked), MOST_TRIED).round().astype(np.int64))

    def with_right(places: NDArray[np.int64]) -> tuple[float, Interval]:
        right = known == 1.0
        right[places] = True
        flags = right.tolist()
        order = auroc(confidence, flags)
        return order, auroc_interval(confidence, flags, clusters=clusters)

    lower = [with_right(ranked[:count]) for count in counts]
    upper = [with_right(ranked[len(ranked) - count :]) for count in counts]
    if any(math.isnan(order) for order, _ in lower):  # all may be right, or all wrong
        return Interval(0.0, 1.0)
    tried = [interval for _, interval in (*lower, *upper)]
    return Interval(min(i.low for i in tried), max(i.high for i in tried))


def _beaten_shares(scores: Floats, others: Floats) -> Floats:
    """For each score the share of the others that it beats; ties count half."""
    ordered = np.sort(others)
    below, upto = (np.searchsorted(ordered, scores, side=side) for side in ("left", "right"))
    shares: Floats = (below + upto) / 2 / len(others)
    return shares


def _variance_of_mean(shares: Floats) -> float:
    """The variance of their mean, with half a share of 0 and half of 1 among them."""
    count = len(shares) + 1
    mean = (float(shares.sum()) + 0.5) / count
    variance = (float(shares @ shares) + 0.5) / count - mean**2
    return variance / (count - 1)


def clopper_pearson_upper(errors: int, n: int, delta: float) -> float:
    """The error rate at which so few errors of n, or fewer, have probability `delta`.

    Clopper and Pearson 1934, one-sided. Whatever the true rate, the bound is below it with
    probability delta at most. 1 where n is 0.
    """
    # scipy.stats.binomtest(...).proportion_ci(method="exact") is the same number by a search for
    # the root. It takes three hundred times as long, for up to hundreds of bounds a threshold.
    from scipy.special import betaincinv  # a third of a second to import

    if errors >= n:
        return 1.0
    return float(betaincinv(errors + 1, n - errors, 1 - delta))


DECIMALS = 6  # of a threshold


def fitted_threshold(
    confidence: Sequence[float],
    is_right: Sequence[bool],
    *,
    max_risk: float,
    delta: float = 0.1,
    starts: Sequence[float] = (0.9, 0.7, 0.5, 0.3),
    step: float = 0.01,
    n_queries: int | None = None,
) -> Guarantee | None:
    """The lowest threshold that is shown to have a risk of at most `max_risk`.

    With probability 1 - `delta` over the questions that it is fitted on, the risk on others of
    their kind is at most `max_risk`; all must be drawn independently from one distribution.

    From each start, thresholds are tested downwards, a `step` at a time, until one has a
    Clopper-Pearson bound above `max_risk`; each start has an equal part of delta. Because the order
    is fixed beforehand, no other correction is due (multi-start fixed-sequence testing:
    Angelopoulos et al. 2021, arXiv 2110.01052). The strictest thresholds answer few questions,
    too few to show anything: hence the starts, which must not be chosen by looking at `is_right`.

    `n_queries`, their number by default, counts questions without an answer as well: coverage is
    over all. None where nothing can be shown: too few questions, or too many errors.
    """
    require(0.0 < max_risk < 1.0, "max_risk", "lie between 0 and 1", max_risk)
    require(0.0 < delta < 1.0, "delta", "lie between 0 and 1", delta)
    scores, right = np.asarray(confidence, np.float64), np.asarray(is_right, np.bool_)
    total = n_queries if n_queries is not None else len(scores)
    best: Guarantee | None = None
    for start in starts:
        for index in range(round(start / step), -1, -1):
            # 70 * 0.01 is a little above 0.7: what is tested is what a user can type in.
            threshold = round(index * step, DECIMALS)
            tested = _tested_at(scores, right, threshold, delta / len(starts), total)
            if tested is None or tested.upper > max_risk:
                break
            if best is None or tested.threshold < best.threshold:
                best = tested
    return best


def _tested_at(
    scores: Floats, right: NDArray[np.bool_], threshold: float, delta: float, total: int
) -> Guarantee | None:
    """The bound at a threshold; None where it answers nothing."""
    answered = scores >= threshold
    count, errors = int(answered.sum()), int((answered & ~right).sum())
    if count == 0:
        return None
    return Guarantee(
        threshold=threshold,
        coverage=count / total,
        risk=errors / count,
        upper=clopper_pearson_upper(errors, count, delta),
    )


def answers_needed(max_risk: float, delta: float = 0.1, num_starts: int = 4) -> int:
    """How many answers, all of them right, it takes to show a risk: (1 - risk)^n <= delta."""
    return math.ceil(math.log(delta / num_starts) / math.log1p(-max_risk))
