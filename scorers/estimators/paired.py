"""Two selectors on the same questions: how much one wins, and whether that is more than chance.

Both are given by what each question is worth, from 0 to 1. The questions are the unit that was
drawn. Where several comparisons stand in one table, `holm` corrects their p-values together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nbest.orchestrator.types import Scores, require
from nbest.scorers.estimators.intervals import normal_quantile

FEWEST_DIFFERENT = 6  # questions: with fewer no p-value can be 0.05 or less


class Difference(NamedTuple):
    """The mean of what the first wins over the second, and its confidence interval."""

    mean: float
    low: float
    high: float


def paired_difference(
    first: Scores, second: Scores, confidence: float = 0.95, reach: float = 1.0
) -> Difference:
    """The mean of first - second over questions [Q], with the interval of Bonett and Price.

    Bonett and Price 2012 add one question that only the first gets right and one that only the
    second does: the interval is never of width 0, and holds the truth in 95 of 100 cases or more,
    whatever the number of questions. For worths between 0 and 1 the same is done to the mean of the
    gains; `reach` is the most that a question can gain or lose, 1 for right against wrong.
    Without questions it is all of [-1, 1].
    """
    require(first.shape == second.shape, "second", f"have shape {first.shape}", second.shape)
    z = normal_quantile(confidence)
    gains = first - second
    count = len(gains) + 2
    centre = float(gains.sum()) / count
    variance = (float(gains @ gains) + 2 * reach**2) / count - centre**2
    half = z * math.sqrt(variance / count)
    mean = float(gains.mean()) if len(gains) else 0.0
    # The centre is drawn towards 0 by the two that are added: the interval keeps the mean inside.
    low, high = min(centre - half, mean), max(centre + half, mean)
    return Difference(mean, max(-1.0, low), min(1.0, high))


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
