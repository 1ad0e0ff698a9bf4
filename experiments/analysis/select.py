"""`nbest select`: chooses again from stored samples, with any selector and without an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbest.experiments.analysis.rows import Row, any_right_row, one_sample_row, selector_row
from nbest.experiments.language.expressions import split_expressions
from nbest.experiments.questions.reading import Reading
from nbest.experiments.runs.cases import Case, cases_of, named_scorer, reading_of
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import require_share


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Selectors side by side on one run."""

    rows: tuple[Row, ...]
    baselines: tuple[Row, ...]  # one sample alone, and any sample right


def compare(
    run: Path,
    selectors: str,
    extract: str | None = None,
    grade: str | None = None,
    equivalence: str | None = None,
    min_confidence: float = 0.0,
) -> Comparison:
    """Apply selectors to the samples of a run; None stands for the setting in the run's config."""
    names = split_expressions(selectors)
    scorers = {name: named_scorer(name, run) for name in names}
    require_share("min_confidence", min_confidence)
    reader = RunReader(run)
    reading = reading_of(reader, extract, grade, equivalence)
    return compare_scorers(reader, scorers, reading, min_confidence)


def compare_scorers(
    run: RunReader, scorers: Mapping[str, Scorer], reading: Reading, min_confidence: float = 0.0
) -> Comparison:
    """Compare scorers that are built already, with a reading that is."""
    graded = cases_of(run, reading, scorers.values())
    rows = wait_for(_rows_of(graded, scorers, min_confidence))
    return Comparison(rows=rows, baselines=(one_sample_row(graded), any_right_row(graded)))


async def _rows_of(
    graded: Sequence[Case], scorers: Mapping[str, Scorer], min_confidence: float
) -> tuple[Row, ...]:
    rows = [await selector_row(name, s, graded, min_confidence) for name, s in scorers.items()]
    return tuple(rows)
