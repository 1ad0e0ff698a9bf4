"""When to stop drawing: rules that look at the scores of the samples so far.

Rules in `stop_on_votes` look at answers alone; these look at the scores that decide the choice: of
a reward model, or of a vote with weights. They are pure, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Scores


@runtime_checkable
class ScoreRule(Protocol):
    """Says whether the scores [n] of the samples, in the order of their indices, are enough.

    `answers` [n] are those of the samples, None where there is none; `max_n` is how many could be
    drawn. It is asked after every sample.
    """

    def stops_on(self, scores: Scores, answers: Sequence[str | None], max_n: int) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationStop:
    """Pandora's rule: stop when one more sample would win less than it costs.

    Weitzman 1979 ("Optimal search for the best alternative", Econometrica 47): boxes are opened as
    long as the best prize is below the reservation value z, at which E[(R - z)+] = cost. Samples
    are boxes that are all alike, so that means: until E[(R - best)+] <= cost. The law of R is
    learned on the way, normal with unknown mean and spread: the next score is Student's t with
    n - 1 degrees of freedom about the mean so far, wider than the scores seen by sqrt(1 + 1/n).

    `cost` is that of one sample in the units of the scores: 0.01 of a probability, say. Where no
    score can be above `highest`, the part of the law beyond it does not count. Where
    the law is far from normal, with a long tail above all, sampling stops too early or too late.
    """

    cost: float = 0.01
    highest: float | None = None  # 1 for a probability
    min_scores: int = 5  # so many must be known before any law is learned from them

    def __post_init__(self) -> None:
        require(self.cost > 0, "cost", "be above 0", self.cost)
        require(self.min_scores >= 3, "min_scores", "be at least 3", self.min_scores)

    def stops_on(self, scores: Scores, answers: Sequence[str | None], max_n: int) -> bool:
        has_answer = np.array([answer is not None for answer in answers], np.bool_)
        finite = scores[has_answer & np.isfinite(scores)]
        if len(finite) < self.min_scores:
            return False
        # A sample without an answer is drawn, and paid for, like the rest.
        usable = len(finite) / len(scores)
        return usable * expected_gain(finite, self.highest) <= self.cost


def expected_gain(scores: Scores, highest: float | None = None) -> float:
    """E[(R - max)+] of the next score R, from at least 3 of them, by Student's predictive law.

    With z = (max - mean) / s', s' = s sqrt(1 + 1/n) and v = n - 1 degrees of freedom, it is
    s' ((v + z^2) / (v - 1) t_v(z) - z (1 - T_v(z))): the density and the distribution of t. With
    min(R, highest) in place of R, the same beyond `highest` comes off.
    """
    n = len(scores)
    spread = float(scores.std(ddof=1)) * math.sqrt(1 + 1 / n)
    if spread == 0:
        return 0.0
    mean, best = float(scores.mean()), float(scores.max())
    gain = _tail_mean((best - mean) / spread, n - 1)
    if highest is not None:
        gain -= _tail_mean((max(highest, best) - mean) / spread, n - 1)
    return spread * gain


@lru_cache(maxsize=65_536)
def _tail_mean(z: float, v: int) -> float:
    from scipy.stats import t

    return float((v + z * z) / (v - 1) * t.pdf(z, v) - z * t.sf(z, v))


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedConsensus:
    """The consensus of DeepConf (Fu et al. 2025, arXiv 2508.15260, section 3.2): enough weight.

    Once `warm_up` samples are there, it stops when the leading answer has at least this `share` of
    the weights of all votes. The scores are those of a vote, one total for each answer: with
    `weighted_vote(by=confidence)` it is the rule of the paper.
    """

    share: float = 0.95
    warm_up: int = 16

    def __post_init__(self) -> None:
        require(0.5 < self.share <= 1, "share", "lie in (0.5, 1]", self.share)
        require(self.warm_up >= 1, "warm_up", "be at least 1", self.warm_up)

    def stops_on(self, scores: Scores, answers: Sequence[str | None], max_n: int) -> bool:
        if len(answers) < self.warm_up:
            return False
        pairs = zip(answers, scores.tolist(), strict=True)
        totals = {a: s for a, s in pairs if a is not None and not math.isnan(s)}
        weight = math.fsum(totals.values())
        return weight > 0 and max(totals.values()) >= self.share * weight
