"""Baselines of a table: one sample alone, and any sample right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from nbest.experiments.analysis.accuracy import Accuracy, accuracy_of, known_as
from nbest.experiments.analysis.case_notes import (
    graded_notes,
    unended_notes,
    unknown_notes,
    verdict_notes,
)
from nbest.experiments.analysis.table.rows import Row, named_clusters, row_of
from nbest.experiments.analysis.table.sample_counts import SampleCounter
from nbest.experiments.analysis.table.sizes import Size, Sizes, size_of
from nbest.experiments.runs.case import Case


class Worths(NamedTuple):
    """What the samples of a case are worth, with unknown ones wrong, and with them right."""

    mean: float
    mean_most: float
    best: float
    best_most: float


class BaselineGrading:
    """Grades one sample alone, and any sample, case by case."""

    def __init__(self) -> None:
        self.sizes = Sizes()
        self._worths: list[Worths] = []  # of the graded cases
        self._clusters: list[str | None] = []  # of the graded cases
        self._graded_by = ""
        self._unknown = 0  # samples
        self._graded_samples = 0
        self.samples = SampleCounter()

    def add(self, case: Case, size: Size | None = None) -> None:
        self.sizes.add(size or size_of(case))
        self.samples.add(case.candidates)
        worths = case.worths if case.is_graded else []
        if not worths:
            return
        least, most = ([known_as(worth, unknown) for worth in worths] for unknown in (0.0, 1.0))
        count = len(worths)
        means = math.fsum(least) / count, math.fsum(most) / count
        self._worths.append(Worths(*means, max(least), max(most)))
        self._clusters.append(case.cluster)
        self._graded_by = case.graded_by
        self._unknown += sum(map(math.isnan, worths))
        self._graded_samples += len(worths)

    def rows(self) -> tuple[Row, Row]:
        """The rows of one sample and of any sample."""
        return self._one_sample(), self._any_right()

    def notes(self) -> tuple[str, ...]:
        """What is unknown, and which questions are left out."""
        unknown = unknown_notes(self._unknown, self._graded_samples)
        graded = graded_notes(len(self._worths), self.sizes.n_queries - self.sizes.n_unended)
        judged = verdict_notes(self._graded_by)
        return (*judged, *graded, *unended_notes(self.sizes.n_unended), *unknown)

    def _accuracy(self, least: Sequence[float], most: Sequence[float]) -> Accuracy:
        return accuracy_of(least, most, named_clusters(self._clusters))

    def _one_sample(self) -> Row:
        """What one sample alone is worth: the mean over all samples, at the cost of one."""
        least, most = [w.mean for w in self._worths], [w.mean_most for w in self._worths]
        whole = row_of("one sample (mean)", self.sizes, self._accuracy(least, most))
        return replace(
            whole,
            n_samples=whole.n_queries,
            samples_each=(1, 1),
            tokens=round(self.sizes.tokens_of_one),
            seconds=math.nan,  # drawn alone it would be faster than among so many
            n_graded=len(self._worths),
            unknown=self._unknown,
        )

    def _any_right(self) -> Row:
        """What a perfect selector would reach: any of the samples is right (coverage, pass@N)."""
        fewest, largest = self.sizes.ended_each
        size = f"{largest}" if fewest == largest else f"{fewest} to {largest}"
        least, most = [w.best for w in self._worths], [w.best_most for w in self._worths]
        row = row_of(f"any of {size} right", self.sizes, self._accuracy(least, most))
        unknown = sum(w.best != w.best_most for w in self._worths)
        return replace(row, n_graded=len(self._worths), unknown=unknown)


def baseline_rows(cases: Sequence[Case]) -> tuple[Row, Row]:
    """One sample alone, and any sample right."""
    grading = BaselineGrading()
    for case in cases:
        grading.add(case)
    return grading.rows()
