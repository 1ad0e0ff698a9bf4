"""The pictures of a report: SVG as text, drawn by matplotlib, without a script.

Every run has a panel of its own, on the same scale; a selector has the same colour in all of them.
The same report gives the same bytes; a label tells screen readers what a picture shows.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from nbest.experiments.analysis.curves.view import plot_label
from nbest.experiments.report.data import RunReport
from nbest.experiments.report.spending import Spending, pareto_front

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 2  # panels beside each other
MOST_TICKS = 9
WIDE = 30.0  # from this ratio of tokens on, only powers of ten are named
BASELINE_STYLES = (":", "--")  # one sample, any right


def accuracy_against_k(reports: Sequence[RunReport]) -> str:
    """Every selector's curve with its interval, between one sample and any sample right."""

    def draw(axes: Axes, report: RunReport, colours: Colours) -> None:
        ks = list(report.ks)
        for style, curve in zip(BASELINE_STYLES, report.curves[:2], strict=False):
            mean = [curve.mean[k - 1] for k in ks]
            axes.plot(ks, mean, linestyle=style, color="0.45", label=plot_label(curve.name))
        for curve in report.curves[2:]:
            colour = colours(curve.name)
            mean, low, high = (
                [side[k - 1] for k in ks] for side in (curve.mean, curve.low, curve.high)
            )
            axes.plot(ks, mean, marker=".", color=colour, label=plot_label(curve.name))
            axes.fill_between(ks, low, high, alpha=0.1, color=colour)
        _logarithmic(axes, ks)

    return _panels(reports, "k, samples to choose from", "accuracy", draw)


def accuracy_against_tokens(reports: Sequence[RunReport]) -> str:
    """Accuracy against cost, verifiers and judges included, and the front of the best points."""
    from matplotlib.ticker import EngFormatter, LogLocator

    def draw(axes: Axes, report: RunReport, colours: Colours) -> None:
        front = pareto_front(report.spendings)
        if len(front) > 1:
            axes.plot(
                [point.tokens for point in front],
                [point.accuracy for point in front],
                color="0.8",
                linewidth=7,
                solid_capstyle="round",
                zorder=1,
                label="better than all cheaper ones, beyond noise",
            )
        for name, points in _by_name(report.spendings).items():
            alone = len(points) == 1
            axes.plot(
                [point.tokens for point in points],
                [point.accuracy for point in points],
                marker="*" if alone else ".",
                markersize=13 if alone else 6,
                linestyle="none" if alone else "-",
                color=colours(name),
                label=plot_label(name),
            )
        if any(point.tokens > 0 for point in report.spendings):  # else nobody counted them
            axes.set_xscale("log")
            tokens = [point.tokens for point in report.spendings if point.tokens > 0]
            is_wide = max(tokens) / min(tokens) > WIDE
            axes.xaxis.set_major_locator(LogLocator(subs=(1,) if is_wide else (1, 2, 5)))
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 50k, for 50,000 takes room
            axes.xaxis.minorticks_off()

    return _panels(reports, "tokens a question", "accuracy", draw)


def accuracy_against_thinking(reports: Sequence[RunReport]) -> str:
    """The first selector's curve in each arm: points are numbers of samples, 1, 2, 4 and so on."""

    def draw(axes: Axes, report: RunReport, colours: Colours) -> None:
        for place, curve in enumerate(report.thinking):
            colour = f"C{place % 10}"
            axes.plot(
                curve.tokens, curve.mean, marker=".", color=colour, label=plot_label(curve.arm)
            )
            axes.fill_between(curve.tokens, curve.low, curve.high, alpha=0.1, color=colour)
            for k, x, y in zip(curve.ks, curve.tokens, curve.mean, strict=True):
                if k in (curve.ks[0], curve.ks[-1]):
                    axes.annotate(
                        f"{k}", (x, y), xytext=(0, 5), textcoords="offset points", fontsize="small"
                    )
        _tokens_from_zero(axes, [x for curve in report.thinking for x in curve.tokens])

    return _panels(reports, "tokens of thought a question", "accuracy", draw)


def _tokens_from_zero(axes: Axes, tokens: Sequence[float]) -> None:
    """Powers of ten from the fewest tokens on, and a place for arms that do not think."""
    from matplotlib.ticker import EngFormatter

    fewest = min((x for x in tokens if x > 0), default=1.0)
    if min(tokens) > 0:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=fewest, linscale=0.5)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.minorticks_off()


def risk_against_coverage(reports: Sequence[RunReport]) -> str:
    """The share of wrong answers if only the most confident ones are given."""

    def draw(axes: Axes, report: RunReport, colours: Colours) -> None:
        for name, points in report.risk.items():
            axes.step(
                [point.coverage for point in points],
                [point.risk for point in points],
                where="post",
                color=colours(name),
                label=plot_label(name),
            )
        axes.set_xlim(0, 1)

    return _panels(reports, "share of questions answered", "share of answers wrong", draw, bottom=0)


Colours = Callable[[str], str]
"""The colour of a selector by its name."""

Draw = Callable[["Axes", RunReport, Colours], None]


def _panels(
    reports: Sequence[RunReport], x: str, y: str, draw: Draw, bottom: float | None = None
) -> str:
    """Draw a panel for each run, all on the scale that `bottom` begins, and one legend below."""
    from matplotlib.figure import Figure

    across = min(ACROSS, len(reports))
    down = -(-len(reports) // across)
    figure = Figure(figsize=(7.6 if across == 1 else 9.0, 3.4 * down + 0.9), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharey=True)
    names = (row.select for report in reports for row in report.rows)
    adaptive = (point.name for report in reports for point in report.spendings)
    colours = _colours([*names, *adaptive])
    for axes in grid.flat[len(reports) :]:
        axes.set_visible(False)
    for axes, report in zip(grid.flat, reports, strict=False):
        axes.grid(alpha=0.3)
        axes.set(xlabel=x, ylabel=y)
        if len(reports) > 1:
            axes.set_title(plot_label(report.name), fontsize="medium")
        draw(axes, report, colours)
    if bottom is not None:  # only now: it fixes the other end, too, at what has been drawn
        grid.flat[0].set_ylim(bottom=bottom)
    return _svg(figure, grid.flat, f"{y} against {x}")


def _colours(names: Iterable[str]) -> Colours:
    order = {name: f"C{place % 10}" for place, name in enumerate(dict.fromkeys(names))}
    return order.__getitem__


def _by_name(points: Iterable[Spending]) -> dict[str, list[Spending]]:
    by_name: dict[str, list[Spending]] = {}
    for point in points:
        by_name.setdefault(point.name, []).append(point)
    return by_name


def _logarithmic(axes: Axes, ticks: Sequence[int]) -> None:
    axes.set_xscale("log")
    if ticks:
        # The last one stands for all samples; those that would run into each other are left out.
        shown = [k for k in ticks if k == ticks[-1] or k <= ticks[-1] / 1.5]
        axes.set_xticks(shown[-MOST_TICKS:])
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.xaxis.minorticks_off()


def _svg(figure: Figure, panels: Iterable[Axes], label: str) -> str:
    """Write the figure as SVG, with one legend: what several panels draw is named once."""
    from matplotlib import rc_context

    handles = {
        name: handle
        for axes in panels
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if handles:
        figure.legend(
            handles=handles.values(),
            labels=handles.keys(),
            loc="outside lower center",
            ncols=min(3, len(handles)),
            fontsize="small",
        )
    out = io.StringIO()
    with rc_context({"svg.hashsalt": "nbest"}):  # else the names of its parts are random
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    _, _, inner = out.getvalue().partition("<svg")  # what is before it is for a file of its own
    lines = ", ".join(name.replace(r"\$", "$") for name in handles)
    return f'<svg role="img" aria-label="{escape(f"{label}: {lines}")}"{inner}'
