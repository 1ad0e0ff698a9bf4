"""What a tracker is told of a run: its settings, its figures, its curves, its answers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from nbest.experiments.report.data import RunReport, run_report
from nbest.experiments.runs.cases import reading_of
from nbest.experiments.runs.exchange.export_answers import csv_lines, rows_chosen
from nbest.experiments.runs.selectors import known_scorers
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.store.format.manifest import Json
from nbest.orchestrator.store.reader import RunReader

MAX_TEXT = 500  # characters of a setting: MLflow takes no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """A run as trackers keep it."""

    name: str
    settings: Mapping[str, str]  # by dotted key of the config; those that are set
    figures: Mapping[str, float]  # by name, as `accuracy/vote`
    curves: Mapping[str, Mapping[int, float]]  # accuracy by name and k
    answers: tuple[str, ...]  # lines of CSV, the head first


def tracked(run: StrPath, tell: Callable[[str], None] = lambda line: None) -> Tracked:
    """Gather it with the run's own selectors; InputError where the folder holds no samples."""
    reader = RunReader(run)
    report = run_report(run, shown=0, tell=tell)
    scorers, _ = known_scorers(None, reader)
    known = {row.select: scorers[row.select] for row in report.rows}
    return Tracked(
        name=report.name,
        settings=dict(_settings(reader.manifest.config)),
        figures={name: v for name, v in _figures(report) if not math.isnan(v)},
        curves={
            key_of(curve.name): {k: curve.mean[k - 1] for k in report.ks} for curve in report.curves
        },
        answers=tuple(csv_lines(rows_chosen(reader, known, reading_of(reader)))) if known else (),
    )


def key_of(name: str) -> str:
    """A name of a selector as trackers take it, without signs that mean something to them."""
    return re.sub(r"[^\w. -]+", "_", name).strip("_ ")


def _figures(report: RunReport) -> Iterator[tuple[str, float]]:
    for row in (*report.rows, *report.baselines):
        name = key_of(row.select)
        yield f"accuracy/{name}", row.accuracy
        yield f"accuracy_low/{name}", row.low
        yield f"accuracy_high/{name}", row.high
        yield f"tokens/{name}", float(row.tokens)
    total = max(1, report.samples.total)
    yield "samples/total", float(report.samples.total)
    yield "samples/cut_off_share", report.samples.cut_off / total
    yield "samples/answered_share", report.samples.answered / total
    yield "questions", float(report.num_ended)
    if report.replay is not None:
        yield "adaptive/accuracy", report.replay.accuracy
        yield "adaptive/samples", report.replay.samples
        yield "adaptive/saving", report.replay.saving


def _settings(value: Json, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _settings(inner, f"{path}.{key}" if path else str(key))
    elif value is not None and value != [] and value != "":
        yield path, str(value)[:MAX_TEXT]


TRACKERS = ("wandb", "mlflow")


def require_tracker(name: str) -> None:
    """Raise InputError unless there is such a tracker."""
    if name not in TRACKERS:
        raise InputError(f"to must be one of {', '.join(TRACKERS)}, got {name!r}")
