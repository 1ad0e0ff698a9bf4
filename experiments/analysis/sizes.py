"""How large cases are: samples, tokens and seconds, added up case by case."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nbest.experiments.runs.cases import Case
from nbest.orchestrator.store.format.schema import FINAL


class Size(NamedTuple):
    """How large one case is."""

    n_samples: int
    tokens: int
    slowest_s: float
    n_ended: int  # samples that neither failed nor were aborted
    ended_tokens: int


def size_of(case: Case) -> Size:
    """The size of a case, which has a sample at least."""
    samples = case.candidates.samples
    ended = [sample.generated_tokens for sample in samples if sample.status in FINAL]
    return Size(
        n_samples=len(samples),
        tokens=sum([sample.generated_tokens for sample in samples]),
        slowest_s=max([sample.total_s for sample in samples]),
        n_ended=len(ended),
        ended_tokens=sum(ended),
    )


class Sizes:
    """How large cases are: numbers that are added up case by case."""

    def __init__(self) -> None:
        self.n_queries = 0
        self.n_samples = 0
        self.largest = 0
        self.smallest = 0
        self.most_ended = 0  # samples of a question; where none ended it is left out
        self.fewest_ended = 0
        self.n_unended = 0  # questions without a sample that ended
        self.tokens = 0
        self.tokens_of_one = 0.0  # a sample of each query, in the mean over those that ended
        self._slowest_s: list[float] = []  # of each query, its slowest sample

    def add(self, size: Size) -> None:
        self.n_queries += 1
        self.n_samples += size.n_samples
        self.largest = max(self.largest, size.n_samples)
        self.smallest = min(self.smallest or size.n_samples, size.n_samples)
        if size.n_ended:
            self.tokens_of_one += size.ended_tokens / size.n_ended
            self.most_ended = max(self.most_ended, size.n_ended)
            self.fewest_ended = min(self.fewest_ended or size.n_ended, size.n_ended)
        else:
            self.n_unended += 1
        self.tokens += size.tokens
        self._slowest_s.append(size.slowest_s)

    @property
    def slowest_s(self) -> float:
        """The seconds of a query, mean: its samples are drawn at the same time."""
        return float(np.mean(self._slowest_s)) if self._slowest_s else math.nan
