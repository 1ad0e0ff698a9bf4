"""`nbest select`: chooses again from stored samples, with any selector and without an engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from nbest.experiments.analysis.table.baselines import BaselineGrading
from nbest.experiments.analysis.table.rows import Row, SelectorGrading
from nbest.experiments.analysis.table.sample_counts import SampleCounts
from nbest.experiments.analysis.table.sizes import size_of
from nbest.experiments.config.threshold import Threshold, read_threshold
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.reading import Reading
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import each_case, reading_of
from nbest.experiments.runs.scope import Scope
from nbest.experiments.runs.selectors import named, named_scorers
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.tasks import wait_for

NO_THRESHOLD = Threshold(0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Selectors side by side on one run."""

    rows: tuple[Row, ...]
    baselines: tuple[Row, ...]  # one sample alone, and any sample right
    samples: SampleCounts  # what became of them
    notes: tuple[str, ...] = ()  # what no grader could say, which questions no accuracy counts


def compare(
    run: StrPath,
    selectors: str | None,
    extract: str | None = None,
    grade: str | None = None,
    equivalence: str | None = None,
    min_confidence: float | str = 0.0,
) -> Comparison:
    """Apply selectors to the samples of a run; None stands for what the run's config has."""
    reader = RunReader(run)
    scorers = named_scorers(named(selectors), reader)
    threshold = read_threshold(min_confidence)
    reading = reading_of(reader, extract, grade, equivalence)
    return compare_scorers(reader, scorers, reading, threshold)


def compare_scorers(
    run: RunReader,
    scorers: Mapping[str, Scorer],
    reading: Reading,
    threshold: Threshold = NO_THRESHOLD,
    scope: Scope | None = None,
    gold: Mapping[str, Gold] | None = None,
) -> Comparison:
    """Compare scorers that are built already, with a reading that is.

    One case after the other is read, each by all scorers: the run need not fit into memory.
    """
    cases = each_case(run, reading, scorers.values(), scope, gold)
    return wait_for(_compared(cases, scorers, threshold))


async def _compared(
    cases: AsyncIterator[Case], scorers: Mapping[str, Scorer], threshold: Threshold
) -> Comparison:
    gradings = [SelectorGrading(name, s, threshold.share) for name, s in scorers.items()]
    baselines = BaselineGrading()
    async for case in cases:
        size = size_of(case)
        threshold.require_samples(size.n_ended, f"question {case.query.id!r}")
        baselines.add(case, size)
        for grading in gradings:
            await grading.add(case, size)
    rows = tuple(grading.row(baselines.sizes) for grading in gradings)
    return Comparison(
        rows=rows,
        baselines=baselines.rows(),
        samples=baselines.samples.counts(),
        notes=baselines.notes(),
    )
