"""Two selectors on the same questions: how much one wins, and whether that is more than chance.

Both are given by what each question is worth. The questions are the unit that was drawn, so the
bootstrap draws questions, with the worth of both selectors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nbest.orchestrator.types import Scores, require

REPLICATES = 10_000


class Difference(NamedTuple):
    """The mean of what the first wins over the second, and its confidence interval."""

    mean: float
    low: float
    high: float


def paired_difference(
    first: Scores, second: Scores, confidence: float = 0.95, seed: int = 0
) -> Difference:
    """The mean of first - second over questions [Q], by a percentile bootstrap over questions.

    Efron and Tibshirani 1993, chapter 13. One question, or none at all, leaves all of [-1, 1].
    """
    require(first.shape == second.shape, "second", f"have shape {first.shape}", second.shape)
    require(0 < confidence < 1, "confidence", "lie in (0, 1)", confidence)
    gains = first - second
    if len(gains) < 2:
        mean = float(gains.mean()) if len(gains) else 0.0
        return Difference(mean, -1.0, 1.0)
    rng = np.random.default_rng(seed)
    values, counts = np.unique(gains, return_counts=True)
    # How often each different gain is drawn says all, at the same cost for any number of them.
    # scipy.stats.bootstrap gives the same interval but for chance: it draws other questions with
    # the same seed, one by one.
    times = rng.multinomial(len(gains), counts / len(gains), size=REPLICATES)
    means = times @ values / len(gains)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Difference(float(gains.mean()), float(low), float(high))


def mcnemar(first: Scores, second: Scores) -> float:
    """The p-value of the hypothesis that two selectors get the same share of questions right.

    Exact and two-sided (McNemar 1947; binomial on the questions where they differ). Right is 1, and
    anything else is not. 1 where they never differ.
    """
    require(first.shape == second.shape, "second", f"have shape {first.shape}", second.shape)
    from scipy.stats import binomtest

    only_first = int(np.count_nonzero((first == 1) & (second != 1)))
    only_second = int(np.count_nonzero((first != 1) & (second == 1)))
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)
