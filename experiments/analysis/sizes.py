"""How large cases are: samples, tokens and seconds, added up case by case."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nbest.experiments.runs.cases import Case


class Size(NamedTuple):
    """How large one case is."""

    n_samples: int
    tokens: int
    slowest_s: float


def size_of(case: Case) -> Size:
    seconds = [sample.total_s for sample in case.candidates.samples]
    tokens = sum([sample.generated_tokens for sample in case.candidates.samples])
    return Size(len(seconds), tokens, max(seconds))


class Sizes:
    """How large cases are: numbers that are added up case by case."""

    def __init__(self) -> None:
        self.n_queries = 0
        self.n_samples = 0
        self.largest = 0
        self.smallest = 0
        self.tokens = 0
        self.tokens_of_one = 0.0  # a sample of each query, in the mean over its samples
        self._slowest_s: list[float] = []  # of each query, its slowest sample

    def add(self, size: Size) -> None:
        self.n_queries += 1
        self.n_samples += size.n_samples
        self.largest = max(self.largest, size.n_samples)
        self.smallest = min(self.smallest or size.n_samples, size.n_samples)
        self.tokens_of_one += size.tokens / size.n_samples
        self.tokens += size.tokens
        self._slowest_s.append(size.slowest_s)

    @property
    def slowest_s(self) -> float:
        """The seconds of a query, mean: its samples are drawn at the same time."""
        return float(np.mean(self._slowest_s)) if self._slowest_s else math.nan
