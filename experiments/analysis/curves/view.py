"""Views of curves: a table in the terminal, and a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nbest.experiments.analysis.accuracy import Accuracy
from nbest.experiments.analysis.curves.arms import ArmTable
from nbest.experiments.analysis.curves.exact import Curve
from nbest.experiments.analysis.curves.of_run import Curves
from nbest.experiments.language.text import printable
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import write_whole
from nbest.orchestrator.requirements import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table


MOST_ACROSS = 4  # curves that fit beside each other


def curve_table(curves: Curves) -> Table:
    """A table with a row for each k and a column for each curve, with 95% intervals over questions.

    Many curves stand below each other instead, with an interval for the largest k alone.
    """
    shown = (*curves.baselines, *curves.curves)
    return _across(curves, shown) if len(shown) <= MOST_ACROSS else _below(curves, shown)


def _below(curves: Curves, shown: Sequence[Curve]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("k", no_wrap=True)
    for k in curves.ks:
        table.add_column(str(k), justify="right", no_wrap=True)
    table.add_column(f"95% at {curves.ks[-1]}", justify="right", no_wrap=True)
    for curve in shown:
        means = (f"{curve.mean[k - 1]:.3f}" for k in curves.ks)
        last = curves.ks[-1] - 1
        interval = f"{curve.low[last]:.2f}-{curve.high[last]:.2f}"
        table.add_row(Text(printable(curve.name)), *means, interval)
    return table


def _across(curves: Curves, shown: Sequence[Curve]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("k", justify="right", no_wrap=True, min_width=4)
    for curve in shown:
        table.add_column(Text(printable(curve.name)), justify="right", no_wrap=True)
    for k in curves.ks:
        table.add_row(str(k), *(_cell(curve, k) for curve in shown))
    return table


def _cell(curve: Curve, k: int) -> str:
    return f"{curve.mean[k - 1]:.3f} ({curve.low[k - 1]:.2f}-{curve.high[k - 1]:.2f})"


def arms_view(arms: ArmTable) -> Table:
    """A table with a row for each arm: alone, and choosing for the tokens that all can pay."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("arm", no_wrap=True)
    chosen = f"{arms.select} at equal tokens"
    for head in ("samples", "tokens each", "one sample", chosen, "all against it"):
        table.add_column(Text(printable(head)), justify="right", no_wrap=True)
    for row in arms.rows:
        table.add_row(
            Text(printable(row.name)),
            f"{row.samples:,}",
            f"{row.tokens:,.1f}",
            _accuracy(row.one),
            f"{_accuracy(row.chosen)} of {row.chosen_k:.1f}" if row.chosen_k else "not one",
            "" if row.gain is None else "{:+.3f} ({:+.2f} to {:+.2f})".format(*row.gain),
        )
    return table


def _accuracy(accuracy: Accuracy) -> str:
    return f"{accuracy.mean:.3f} ({accuracy.low:.2f}-{accuracy.high:.2f})"


PICTURES = ("svg", "png", "pdf")


def picture_format(file: Path) -> str:
    """The format that a picture's name ends with; InputError where it is none of them."""
    ending = file.suffix.lstrip(".").lower()
    require(ending in PICTURES, "plot", f"end with one of .{', .'.join(PICTURES)}", str(file))
    return ending


def plot_label(name: str) -> str:
    """A selector's name as matplotlib shows it: a $ begins mathematics there, a name is long."""
    return name[:60].replace("$", r"\$").lstrip("_")


def plot_curves(curves: Curves, file: Path) -> None:
    """Draw the curves as a picture, in the format that the file's name ends with.

    InputError where the file cannot be written; it is written whole or not at all.
    """
    kind = picture_format(file)
    figure = _figure(curves)
    drawn = io.BytesIO()
    figure.savefig(drawn, format=kind, metadata={"Date": None} if kind == "svg" else None)
    try:
        write_whole(file, drawn.getvalue())
    except OSError as error:
        rule = f"be a file that can be written ({error.strerror})"
        raise InputError(f"plot must {rule}, got {str(file)!r}") from error


def _figure(curves: Curves) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for curve in (*curves.baselines, *curves.curves):
        height = [curve.mean[k - 1] for k in curves.ks]
        (line,) = axes.plot(curves.ks, height, label=plot_label(curve.name), marker=".")
        low, high = ([side[k - 1] for k in curves.ks] for side in (curve.low, curve.high))
        axes.fill_between(curves.ks, low, high, alpha=0.12, color=line.get_color())
    if curves.beyond:
        estimates = list(curves.beyond.values())
        middle = [estimate.coverage for estimate in estimates]
        below = [estimate.coverage - estimate.low for estimate in estimates]
        above = [estimate.high - estimate.coverage for estimate in estimates]
        axes.errorbar(
            list(curves.beyond), middle, [below, above], fmt="x", label="any right, extrapolated"
        )
    axes.set(xscale="log", xlabel="k, samples to choose from", ylabel="accuracy")
    axes.set_xticks([*curves.ks, *curves.beyond])
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.xaxis.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
