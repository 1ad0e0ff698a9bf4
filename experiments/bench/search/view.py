"""The tables of `nbest bench search`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from nbest.experiments.bench.search.continuation import Continuation
from nbest.experiments.bench.search.engine_use import EngineUse
from nbest.experiments.bench.search.truths import Truth


def truths_table(truths: Sequence[Truth]) -> Table:
    """A line for each figure that is known in closed form."""
    table = Table(box=None, pad_edge=False)
    table.add_column("search")
    for title in ("predicted", "simulated", "standard errors"):
        table.add_column(title, justify="right")
    table.add_column("holds")
    for truth in truths:
        figures = (truth.predicted, truth.simulated)
        cells = (*(f"{figure:.4f}" for figure in figures), f"{truth.standard_errors:+.2f}")
        table.add_row(truth.name, *cells, str(truth.holds).lower())
    return table


def uses_table(uses: Sequence[EngineUse]) -> Table:
    """A line for each search: what it makes of an engine."""
    table = Table(box=None, pad_edge=False)
    table.add_column("search")
    titles = ("pruned", "computed again", "of whole answers", "idle", "time of whole answers")
    for title in titles:
        table.add_column(title, justify="right")
    for use in uses:
        shares = (f"{use.pruned:.0%}", f"{use.recomputed:.2f}", f"{use.recomputed_whole:.2f}")
        table.add_row(use.name, *shares, f"{use.idle:.0%}", f"{use.slowdown:.2f}")
    return table


def continuation_table(steps: Continuation) -> Table:
    """A line: whether a model goes on after its own tokens."""
    table = Table(box=None, pad_edge=False)
    for title in ("steps that go on", "after their own ids", "greedy answers", "same in steps"):
        table.add_column(title, justify="right")
    counts = (steps.steps, steps.read, steps.answers, steps.same)
    table.add_row(*(f"{count:,}" for count in counts))
    return table
