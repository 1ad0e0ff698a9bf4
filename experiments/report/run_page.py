"""What the page shows of one run: its report with pictures, table and links made ready."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbest.experiments.analysis.paired import Line
from nbest.experiments.analysis.table.rows import Row
from nbest.experiments.report.costs import Cost, Prices, costs_of
from nbest.experiments.report.data import RunReport
from nbest.experiments.report.drawing import Limits
from nbest.experiments.report.duels import Duel
from nbest.experiments.report.plots import (
    all_selectors_plot,
    calibration_plot,
    headline_plot,
    right_counts_plot,
    risk_plot,
    thinking_plot,
    tokens_plot,
)

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """A line of the table of selectors."""

    name: str
    right: float
    low: float
    high: float
    against: str  # points over the first selector, with their interval
    direction: str  # up, down, or flat: within noise
    abstained: str
    questions: int
    tokens: str  # a question
    kind: str  # base, best, or empty


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """A run as the template reads it."""

    report: RunReport
    rows: tuple[TableRow, ...]
    pictures: Mapping[str, Markup | str]  # by name; empty where there is nothing to draw
    warnings: tuple[str, ...]  # of the first selector
    other_warnings: tuple[str, ...]
    duels: Mapping[str, Sequence[int | None]]  # wins of each selector over each
    costs: Sequence[Cost]
    strip_size: int  # questions of a cell


def run_page(report: RunReport, prices: Prices, limits: Limits) -> RunPage:
    """Make a run ready for the page; accuracies are drawn between `limits`."""
    own = [w for w in report.warnings if report.rows and w.startswith(f"{report.rows[0].select}: ")]
    cells = len(report.strips[0].cells) if report.strips else 1
    return RunPage(
        report=report,
        rows=table_rows(report),
        pictures=_pictures(report, limits),
        warnings=tuple(own),
        other_warnings=tuple(w for w in report.warnings if w not in own),
        duels=duel_matrix(report.duels, [row.select for row in report.rows]),
        costs=costs_of(report, prices),
        strip_size=math.ceil(report.num_graded / cells),
    )


def _pictures(report: RunReport, limits: Limits) -> dict[str, Markup | str]:
    from markupsafe import Markup

    pictures: dict[str, Markup | str] = {"thinking": "", "calibration": ""}
    if not report.has_curves:
        return pictures
    # Drawn by matplotlib, which escapes the names that it is given.
    pictures |= {
        "headline": Markup(headline_plot(report, limits)),
        "selectors": Markup(all_selectors_plot(report, limits)),
        "tokens": Markup(tokens_plot(report, limits)),
        "right_counts": Markup(right_counts_plot(report)),
        "risk": Markup(risk_plot(report)),
    }
    if report.calibration:
        pictures["calibration"] = Markup(calibration_plot(report))
    if report.thinking:
        pictures["thinking"] = Markup(thinking_plot(report))
    return pictures


def table_rows(report: RunReport) -> tuple[TableRow, ...]:
    """One sample first, then the selectors, the best in accuracy first, and what any could reach.

    Without gold answers the selectors alone, in their order.
    """
    lines = {line.pair.other.select: line for line in report.lines}
    if not report.num_graded:
        return tuple(_row(row, None, "") for row in report.rows)
    one, any_right = report.baselines
    ordered = sorted(report.rows, key=lambda row: -row.accuracy)
    best = ordered[0].accuracy if ordered else math.nan
    return (
        _row(one, None, "base"),
        *(
            _row(row, lines.get(row.select), "best" if row.accuracy == best else "")
            for row in ordered
        ),
        _row(any_right, None, "base"),
    )


def _row(row: Row, line: Line | None, kind: str) -> TableRow:
    against, direction = "", "flat"
    if line is not None:
        mean, low, high = (100 * value for value in line.gain)
        against = f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"
        direction = ("up" if mean > 0 else "down") if line.is_claim else "flat"
    return TableRow(
        name=row.select,
        right=row.accuracy,
        low=row.low,
        high=row.high,
        against=against,
        direction=direction,
        abstained="" if kind == "base" else f"{row.abstained:,}",
        questions=row.n_queries,
        tokens=f"{row.tokens / row.n_queries:,.0f}" if row.tokens and row.n_queries else "-",
        kind=kind,
    )


def duel_matrix(duels: Sequence[Duel], names: Sequence[str]) -> dict[str, list[int | None]]:
    """By selector, how many questions it alone gets right against each; None against itself."""
    if not duels:
        return {}
    wins = {(duel.one, duel.other): duel.only_one for duel in duels}
    wins |= {(duel.other, duel.one): duel.only_other for duel in duels}
    return {one: [wins.get((one, other)) for other in names] for one in names}
