"""Worlds: how hard questions are, and pools of samples drawn from them. The truth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.best_of_k import best_of_k
from nbest.scorers.estimators.majority_at_k import majority_at_k

Counts = NDArray[np.int64]
Curve = Callable[[int, int], Scores]


@dataclass(frozen=True, slots=True)
class World:
    """Questions whose chance of a right sample is Beta(a, b) distributed."""

    name: str
    a: float
    b: float

    def chances(self, rng: np.random.Generator, *shape: int) -> Scores:
        """The chances of questions."""
        drawn: Scores = rng.beta(self.a, self.b, shape)
        return drawn

    def right_counts(self, rng: np.random.Generator, n: int, *shape: int) -> Counts:
        """How many of n samples of questions are right."""
        counts: Counts = rng.binomial(n, self.chances(rng, *shape))
        return counts

    def truth(self, table: Scores) -> float:
        """The mean worth of all questions, from that of one with 0, 1, ... N right samples."""
        from scipy.stats import betabinom

        n = len(table) - 1
        return float(betabinom.pmf(np.arange(n + 1), n, self.a, self.b) @ table)


WORLDS = (
    World("easy", 8.0, 2.0),
    World("hard", 1.0, 9.0),
    World("very hard", 0.5, 24.5),
    World("middle", 4.0, 4.0),
    World("bimodal", 0.3, 0.3),
)
BY_NAME = {world.name: world for world in WORLDS}
RARE = World("rare", 2.0, 18.0)


@cache
def one_sample(n: int, k: int) -> Scores:
    """[N + 1] What one sample is worth, by the number of right samples of n; k is of no matter."""
    return np.arange(n + 1) / n


@cache
def any_right(n: int, k: int) -> Scores:
    """[N + 1] The chance that any of k is right, by the number of right samples of n."""
    values = (np.arange(n) < c for c in range(n + 1))
    chances = [best_of_k(v.astype(float), v.astype(float))[k - 1] for v in values]
    return np.clip(chances, 0.0, 1.0)  # rounding may leave a little more than 1


@cache
def vote(n: int, k: int) -> Scores:
    """[N + 1] The chance that a vote of k is right, by the number of right samples of n.

    All wrong samples say the same; the two share a tie.
    """
    worths = [0.0]
    for c in range(1, n + 1):
        counts, values = ([c, n - c], [1.0, 0.0]) if c < n else ([n], [1.0])
        worths.append(float(majority_at_k(counts, values, 0, k)[k - 1]))
    return np.clip(worths, 0.0, 1.0)
