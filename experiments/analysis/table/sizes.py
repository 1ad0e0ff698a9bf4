"""How large cases are: samples, tokens and seconds, added up case by case."""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

from nbest.experiments.runs.case import Case
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
        tokens=case.tokens,
        slowest_s=max([sample.total_s for sample in samples]),
        n_ended=len(ended),
        ended_tokens=sum(ended),
    )


class Sizes:
    """How large cases are: numbers that are added up case by case."""

    def __init__(self) -> None:
        self.n_queries = 0
        self.n_samples = 0
        self.tokens = 0
        self.tokens_of_one = 0.0  # a sample of each query, in the mean over those that ended
        self.seconds = 0.0  # of each query, its slowest sample; added up
        self.drawn = Counter[int]()  # how many queries have so many samples
        self.ended = Counter[int]()  # how many have so many that neither failed nor were aborted

    def add(self, size: Size) -> None:
        self.n_queries += 1
        self.n_samples += size.n_samples
        self.tokens += size.tokens
        self.seconds += size.slowest_s
        self.drawn[size.n_samples] += 1
        self.ended[size.n_ended] += 1
        if size.n_ended:
            self.tokens_of_one += size.ended_tokens / size.n_ended

    def without(self, other: Sizes) -> Sizes:
        """What is left without some of the cases."""
        left = Sizes()
        left.n_queries = self.n_queries - other.n_queries
        left.n_samples = self.n_samples - other.n_samples
        left.tokens = self.tokens - other.tokens
        left.tokens_of_one = self.tokens_of_one - other.tokens_of_one
        left.seconds = self.seconds - other.seconds
        left.drawn, left.ended = self.drawn - other.drawn, self.ended - other.ended
        return left

    @property
    def each(self) -> tuple[int, int]:
        """The fewest and the most samples of a query."""
        return _ends(self.drawn)

    @property
    def ended_each(self) -> tuple[int, int]:
        """The fewest and the most that ended, of the queries that have any."""
        return _ends(self.ended)

    @property
    def n_unended(self) -> int:
        """How many queries have no sample that ended."""
        return self.ended[0]

    @property
    def slowest_s(self) -> float:
        """The seconds of a query, mean: its samples are drawn at the same time."""
        return self.seconds / self.n_queries if self.n_queries else math.nan


def _ends(counts: Counter[int]) -> tuple[int, int]:
    some = [number for number, count in counts.items() if number and count]
    return min(some, default=0), max(some, default=0)
