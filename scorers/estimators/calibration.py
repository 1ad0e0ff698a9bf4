"""Whether a confidence is to be believed: calibration of probabilities, and what rejecting wins.

`confidence` [Q] of the answers to some questions, and `is_right` [Q], come from the caller; nothing
here knows a question, a grader or a scorer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.requirements import require
from nbest.scorers.estimators.intervals import Interval, clustered_interval

MOST_BINS = 10
RESAMPLES = 1_000  # of questions, for an interval

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Answers of nearly the same confidence."""

    low: float  # the least confidence of them
    high: float  # the highest
    confidence: float  # mean
    accuracy: float  # share of right ones
    interval: Interval  # 95%, of the accuracy
    count: int


def calibration_bins(
    confidence: Sequence[float],
    is_right: Sequence[bool],
    most: int = MOST_BINS,
    clusters: Sequence[str] | None = None,
) -> list[CalibrationBin]:
    """Sort answers [Q] into at most `most` bins of about equally many, the least confident first.

    Equal mass, and not equal width: bins of few answers would say nothing (Nixon et al. 2019,
    arXiv 1904.01685). Answers of the same confidence are never parted, so a bin may be larger.
    `clusters` [Q] names the templates of the questions.
    """
    values, right = np.asarray(confidence, np.float64), np.asarray(is_right, np.float64)
    places = bins_of(values, most)
    names = None if clusters is None else np.asarray(clusters)
    found = []
    for place in range(int(places.max()) + 1 if values.size else 0):
        inside = places == place
        of_bin = None if names is None else names[inside].tolist()
        found.append(
            CalibrationBin(
                low=float(values[inside].min()),
                high=float(values[inside].max()),
                confidence=float(values[inside].mean()),
                accuracy=float(right[inside].mean()),
                interval=clustered_interval(right[inside], clusters=of_bin),
                count=int(inside.sum()),
            )
        )
    return found


def bins_of(values: Floats, most: int) -> NDArray[np.intp]:
    """[Q] The bin of each value: at most `most`, of about equally many, equal values together."""
    require(most >= 1, "most", "be 1 or more", most)
    if not values.size:
        return np.empty(0, np.intp)
    _, groups, counts = np.unique(values, return_inverse=True, return_counts=True)
    # A group belongs to the bin in which its middle lies.
    middles = np.cumsum(counts) - counts / 2
    _, places = np.unique(np.floor(middles * most / len(values)), return_inverse=True)
    of_values: NDArray[np.intp] = places[groups]
    return of_values


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationError:
    """The expected calibration error, and what chance alone would make of it."""

    error: float
    interval: Interval  # 95%, over questions
    by_chance: float  # the mean error of answers that are right as often as their confidence says


def calibration_error(
    confidence: Sequence[float],
    is_right: Sequence[bool],
    most: int = MOST_BINS,
    seed: int = 0,
) -> CalibrationError:
    """Measure the mean distance of accuracy from confidence over bins of equal mass.

    Naeini et al. 2015, with the bins of `calibration_bins`. It is never 0, and the larger the fewer
    answers there are: so `by_chance` stands beside it. The interval is a bootstrap over questions.
    nan without answers. InputError where a confidence is no probability.
    """
    values, right = _checked(confidence, is_right)
    if not values.size:
        return CalibrationError(error=math.nan, interval=Interval(0.0, 1.0), by_chance=math.nan)
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, len(values), (RESAMPLES, len(values)))
    again = [_error(values[pick], right[pick], most) for pick in picks]
    lucky = rng.random((RESAMPLES // 4, len(values))) < values
    return CalibrationError(
        error=_error(values, right, most),
        interval=Interval(*map(float, np.quantile(again, (0.025, 0.975)))),
        by_chance=float(np.mean([_error(values, luck.astype(np.float64), most) for luck in lucky])),
    )


def _error(values: Floats, right: Floats, most: int) -> float:
    places = bins_of(values, most)
    gaps = np.bincount(places, values - right)
    return float(np.abs(gaps).sum() / len(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Brier:
    """The mean squared error of probabilities in three parts: reliability - resolution + spread.

    Murphy 1973: `reliability` is how far accuracy lies from confidence, less is better;
    `resolution` how far it varies with it, more is better; `spread` is that of the answers.
    """

    score: float
    reliability: float
    resolution: float
    spread: float  # a (1 - a) for an accuracy of a


def brier(confidence: Sequence[float], is_right: Sequence[bool]) -> Brier:
    """Part the Brier score by the distinct confidences [M], so that the parts add up exactly.

    All are nan without answers. InputError where a confidence is no probability.
    """
    values, right = _checked(confidence, is_right)
    if not values.size:
        return Brier(score=math.nan, reliability=math.nan, resolution=math.nan, spread=math.nan)
    distinct, groups, counts = np.unique(values, return_inverse=True, return_counts=True)
    accuracy = np.bincount(groups, right) / counts
    weights, base = counts / len(values), float(right.mean())
    return Brier(
        score=float(((values - right) ** 2).mean()),
        reliability=float(weights @ (distinct - accuracy) ** 2),
        resolution=float(weights @ (accuracy - base) ** 2),
        spread=base * (1 - base),
    )


def auarc(confidence: Sequence[float], is_right: Sequence[bool]) -> float:
    """Measure the area under the accuracy-rejection curve: the mean accuracy of the surest.

    The mean of the accuracies of the 1, 2, ... Q most confident answers (Nadeem et al. 2009).
    Where confidences tie, the answers among them are kept in any order: the mean over all orders.
    nan without answers.
    """
    values, right = np.asarray(confidence, np.float64), np.asarray(is_right, np.float64)
    if not values.size:
        return math.nan
    return float(_kept_accuracies(values, right).mean())


def prr(confidence: Sequence[float], is_right: Sequence[bool]) -> float:
    """Measure the prediction-rejection ratio: 0 for a confidence that knows nothing, 1 for all.

    (A - A_random) / (A_oracle - A_random), A the area of `auarc` (Malinin et al. 2020). nan where
    all answers are right, or all are wrong: then there is nothing to know.
    """
    right = np.asarray(is_right, np.float64)
    if not right.size or right.min() == right.max():
        return math.nan
    oracle = auarc(right.tolist(), is_right)
    at_random = float(right.mean())
    return (auarc(confidence, is_right) - at_random) / (oracle - at_random)


def _kept_accuracies(values: Floats, right: Floats) -> Floats:
    """[Q] The expected accuracy of the k most confident answers, k = 1 to Q."""
    _, groups, counts = np.unique(-values, return_inverse=True, return_counts=True)
    # Of each answer of a tie, as much is right as of all of them.
    share = np.bincount(groups, right) / counts
    kept: Floats = np.cumsum(np.repeat(share, counts)) / np.arange(1, len(values) + 1)
    return kept


def right_minus_wrong(verdicts: Sequence[bool | None], penalty: float = 1.0) -> float:
    """Score answers [Q] with a price for wrong ones: the mean of 1, -`penalty`, and 0 for None.

    None is an abstention. With a penalty of p / (1 - p), it pays to answer where the chance of
    being right is above p. nan without questions.
    """
    require(penalty >= 0, "penalty", "be 0 or more", penalty)
    worths = [0.0 if v is None else 1.0 if v else -penalty for v in verdicts]
    return float(np.mean(worths)) if worths else math.nan


def _checked(confidence: Sequence[float], is_right: Sequence[bool]) -> tuple[Floats, Floats]:
    values, right = np.asarray(confidence, np.float64), np.asarray(is_right, np.float64)
    require(len(values) == len(right), "is_right", f"be one for {len(values)}", len(right))
    outside = values[~((values >= 0) & (values <= 1))]
    require(outside.size == 0, "confidence", "lie in [0, 1]", outside[:3].tolist())
    return values, right
