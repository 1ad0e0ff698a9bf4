"""Curves for people: a table in the terminal, and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.curve_command import Curves
from experiments.curves import Curve
from experiments.extras import optional
from experiments.nearest import printable

if TYPE_CHECKING:
    from rich.table import Table


def curve_table(found: Curves) -> Table:
    """k downwards, selectors across; the interval is 95%, over questions."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("k", justify="right", no_wrap=True, min_width=4)
    shown = (*found.baselines, *found.curves)
    for curve in shown:
        table.add_column(Text(printable(curve.name)), justify="right", no_wrap=True)
    for k in found.ks:
        table.add_row(str(k), *(_cell(curve, k) for curve in shown))
    return table


def _cell(curve: Curve, k: int) -> str:
    return f"{curve.mean[k - 1]:.3f} ({curve.low[k - 1]:.2f}-{curve.high[k - 1]:.2f})"


def plot_curves(found: Curves, file: Path) -> None:
    """The same as a picture, in the format that the name of the file ends with."""
    optional("matplotlib", "pictures", "report")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for curve in (*found.baselines, *found.curves):
        height = [curve.mean[k - 1] for k in found.ks]
        (line,) = axes.plot(found.ks, height, label=curve.name, marker=".")
        low, high = ([side[k - 1] for k in found.ks] for side in (curve.low, curve.high))
        axes.fill_between(found.ks, low, high, alpha=0.12, color=line.get_color())
    axes.set(xscale="log", xlabel="k, samples to choose from", ylabel="accuracy")
    axes.set_xticks(found.ks)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.xaxis.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
