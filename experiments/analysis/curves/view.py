"""Curves for people: a table in the terminal, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nbest.experiments.analysis.curves.exact import Curve
from nbest.experiments.analysis.curves.of_run import Curves
from nbest.experiments.language.text import printable

if TYPE_CHECKING:
    from rich.table import Table


MOST_ACROSS = 4  # curves that fit beside each other


def curve_table(found: Curves) -> Table:
    """k downwards, curves across; the interval is 95%, over questions. Many curves stand below each
    other, with an interval for the largest k alone."""
    shown = (*found.baselines, *found.curves)
    return _across(found, shown) if len(shown) <= MOST_ACROSS else _below(found, shown)


def _below(found: Curves, shown: Sequence[Curve]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("k", no_wrap=True)
    for k in found.ks:
        table.add_column(str(k), justify="right", no_wrap=True)
    table.add_column(f"95% at {found.ks[-1]}", justify="right", no_wrap=True)
    for curve in shown:
        means = (f"{curve.mean[k - 1]:.3f}" for k in found.ks)
        last = found.ks[-1] - 1
        interval = f"{curve.low[last]:.2f}-{curve.high[last]:.2f}"
        table.add_row(Text(printable(curve.name)), *means, interval)
    return table


def _across(found: Curves, shown: Sequence[Curve]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("k", justify="right", no_wrap=True, min_width=4)
    for curve in shown:
        table.add_column(Text(printable(curve.name)), justify="right", no_wrap=True)
    for k in found.ks:
        table.add_row(str(k), *(_cell(curve, k) for curve in shown))
    return table


def _cell(curve: Curve, k: int) -> str:
    return f"{curve.mean[k - 1]:.3f} ({curve.low[k - 1]:.2f}-{curve.high[k - 1]:.2f})"


def plot_curves(found: Curves, file: Path) -> None:
    """The same as a picture, in the format that the name of the file ends with."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for curve in (*found.baselines, *found.curves):
        height = [curve.mean[k - 1] for k in found.ks]
        (line,) = axes.plot(found.ks, height, label=curve.name, marker=".")
        low, high = ([side[k - 1] for k in found.ks] for side in (curve.low, curve.high))
        axes.fill_between(found.ks, low, high, alpha=0.12, color=line.get_color())
    if found.beyond:
        each = list(found.beyond.values())
        middle = [one.coverage for one in each]
        below = [one.coverage - one.low for one in each]
        above = [one.high - one.coverage for one in each]
        axes.errorbar(
            list(found.beyond), middle, [below, above], fmt="x", label="any right, extrapolated"
        )
    axes.set(xscale="log", xlabel="k, samples to choose from", ylabel="accuracy")
    axes.set_xticks([*found.ks, *found.beyond])
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.xaxis.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
