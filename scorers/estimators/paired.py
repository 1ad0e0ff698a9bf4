"""Two selectors on the same questions: how much one wins, and whether that is more than chance.

Both are given by what each question is worth, from 0 to 1. The questions are the unit that was
drawn. Where several comparisons stand in one table, `holm` corrects their p-values together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.intervals import (
    ClusteredMean,
    Clusters,
    clustered_mean,
    normal_quantile,
    student_quantile,
    student_tail,
)

FEWEST_DIFFERENT = 6  # questions: with fewer no p-value can be 0.05 or less


class Difference(NamedTuple):
    """The mean of what the first wins over the second, and its confidence interval."""

    mean: float
    low: float
    high: float


def paired_difference(
    first: Scores, second: Scores, confidence: float = 0.95, clusters: Clusters | None = None
) -> Difference:
    """The mean of first - second over questions [Q], worths from 0 to 1, with its interval.

    Bonett and Price 2012 add one question that only the first gets right and one that only the
    second does: the interval is never of width 0, and holds the truth in 94 of 100 cases or more in
    the settings of `nbest bench statistics`; in 93 at some numbers of questions where only one side
    ever wins, and in 89 of ten questions at all of which the two differ. For worths between 0 and 1
    the same is done to the mean of the gains. Where questions come from templates, `clusters` [Q]
    names these, two templates are added, and the error is that of `clustered_mean`. Without
    questions it is all of [-1, 1].
    """
    normal_quantile(confidence)  # says what is wrong
    gains = _gains(first, second)
    gain = _gain(gains, clusters)
    half = student_quantile(gain.degrees, 0.5 + confidence / 2) * gain.error
    mean = float(gains.mean()) if len(gains) else 0.0
    # The mean is drawn towards 0 by the two that are added: the interval keeps that of the gains.
    low, high = min(gain.mean - half, mean), max(gain.mean + half, mean)
    return Difference(mean, max(-1.0, low), min(1.0, high))


def paired_p_value(first: Scores, second: Scores, clusters: Clusters | None = None) -> float:
    """The p-value, two-sided, of the hypothesis that both are worth the same, with worths of [Q].

    The larger of two: McNemar's mid-p, and the level at which `paired_difference` touches 0. A
    claim at it is one that neither the test nor the interval takes back. Where `clusters` [Q] names
    templates it is the second alone, for McNemar's test takes questions for independent.
    """
    gain = _gain(_gains(first, second), clusters)
    touches = 2 * student_tail(gain.degrees, abs(gain.mean) / gain.error)
    return touches if clusters is not None else max(touches, mcnemar(first, second))


def _gains(first: Scores, second: Scores) -> Scores:
    require(first.shape == second.shape, "second", f"have shape {first.shape}", second.shape)
    gains: Scores = first - second
    return gains


def _gain(gains: Scores, clusters: Clusters | None) -> ClusteredMean:
    """The mean gain with one of -1 and one of +1 among them; infinite degrees: a normal error."""
    if clusters is not None:
        return clustered_mean(gains, clusters, ends=(-1.0, 1.0))
    count = len(gains) + 2
    mean = float(gains.sum()) / count
    error = math.sqrt(((float(gains @ gains) + 2) / count - mean**2) / count)
    return ClusteredMean(mean, error, math.inf)


def discordant(first: Scores, second: Scores) -> tuple[int, int]:
    """How many questions only the first gets right, and how many only the second.

    Right is 1, and anything else is not.
    """
    require(first.shape == second.shape, "second", f"have shape {first.shape}", second.shape)
    only_first = int(np.count_nonzero((first == 1) & (second != 1)))
    only_second = int(np.count_nonzero((first != 1) & (second == 1)))
    return only_first, only_second


def mcnemar(first: Scores, second: Scores) -> float:
    """The p-value of the hypothesis that two selectors get the same share of questions right.

    Two-sided mid-p (McNemar 1947; Fagerland, Lydersen and Laake 2013): binomial on the questions
    where they differ, with half the probability of the table that was seen. The exact one is never
    too small, and with few questions far too large. 1 where they never differ.
    """
    only_first, only_second = discordant(first, second)
    count = only_first + only_second
    if count == 0:
        return 1.0
    from scipy.special import bdtr

    fewer = min(only_first, only_second)
    at = float(bdtr(fewer, count, 0.5))
    below = float(bdtr(fewer - 1, count, 0.5)) if fewer else 0.0
    # Of equal numbers the table lies in both tails; statsmodels has the exact test only.
    return 1.0 - (at - below) / 2 if only_first == only_second else at + below


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected together, in their order: at most 0.05 is a claim for the family.

    Holm 1979: the smallest times their number, the next times one less, and so on, never falling.
    The chance of any false claim is at most the level, however the tests depend on each other.
    """
    # statsmodels' multipletests(method="holm") gives the same; it would bring pandas with it.
    corrected = [1.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected
