"""What the plots of a report are drawn with: lines with intervals, texts on points, axes, names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nbest.experiments.analysis.curves.exact import Curve
from nbest.experiments.analysis.curves.view import plot_label
from nbest.experiments.report.headline import percent
from nbest.experiments.report.svg import DIM, HEIGHT, INK, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_TICKS = 9
WIDE = 30.0  # from this ratio of tokens on, only powers of ten are named
LABEL_CHARACTERS = 16  # of a name beside the end of its curve
LABEL_SPACE = 0.058  # of the panel's height, between two names beside each other
BASELINE_STYLES = (":", "--")  # one sample, any right

Limits = tuple[float, float]


def baseline_lines(axes: Axes, curves: Sequence[Curve], ks: Sequence[int]) -> dict[str, str]:
    hovers: dict[str, str] = {}
    for style, curve in zip(BASELINE_STYLES, curves, strict=False):
        mean = [curve.mean[k - 1] for k in ks]
        axes.plot(ks, mean, linestyle=style, color=DIM, label=plot_label(curve.name))
        hovers |= hover_points(axes, _of_curve(curve, ks, curve.name))
    return hovers


def curve_line(
    axes: Axes, curve: Curve, ks: Sequence[int], colour: str, name: str | None = None
) -> dict[str, str]:
    name = name or curve.name
    mean, low, high = ([side[k - 1] for k in ks] for side in (curve.mean, curve.low, curve.high))
    axes.plot(ks, mean, marker=".", linewidth=2, color=colour, label=plot_label(name))
    axes.fill_between(ks, low, high, alpha=0.12, color=colour, linewidth=0)
    return hover_points(axes, _of_curve(curve, ks, name))


def _of_curve(curve: Curve, ks: Sequence[int], name: str) -> list[tuple[float, float, str]]:
    return [
        (
            k,
            curve.mean[k - 1],
            f"{name}, k={k}: {percent(curve.mean[k - 1])} "
            f"({percent(curve.low[k - 1])} to {percent(curve.high[k - 1])})",
        )
        for k in ks
    ]


def hover_points(axes: Axes, points: Iterable[tuple[float, float, str]]) -> dict[str, str]:
    """Lay a large clear point over each one that has a text; the texts by their gid."""
    hovers = {}
    for x, y, text in points:
        if x != x or y != y:
            continue
        gid = f"point-{len(axes.lines)}"
        axes.plot([x], [y], marker="o", markersize=12, color=INK, alpha=0, label="_", gid=gid)
        hovers[gid] = text
    return hovers


def name_ends(axes: Axes, ends: Mapping[str, tuple[float, str]], limits: Limits) -> None:
    """Write names beside the ends of their curves, moved apart where they would overlap."""
    low, high = limits
    names = sorted(ends, key=lambda name: ends[name][0])
    places = spread([(ends[name][0] - low) / (high - low) for name in names], LABEL_SPACE)
    for name, place in zip(names, places, strict=True):
        end, colour = ends[name]
        axes.annotate(
            plot_label(f"{shortened(name)} {percent(end)}"),
            (1.02, place),
            xycoords="axes fraction",
            va="center",
            color=colour,
            fontweight="normal" if colour == DIM else "bold",
            annotation_clip=False,
        )


def spread(places: Sequence[float], space: float) -> list[float]:
    """Move ascending places in [0, 1] apart by at least `space`, as little as may be.

    >>> spread([0.5, 0.5], 0.25)
    [0.375, 0.625]
    """
    moved = np.array(places, np.float64)
    for _ in range(200):
        gaps = space - np.diff(moved)
        if (gaps <= 1e-9).all():
            break
        for index in np.flatnonzero(gaps > 0):
            moved[index] -= gaps[index] / 2
            moved[index + 1] += gaps[index] / 2
            gaps = space - np.diff(moved)
    return [float(place) for place in moved]


def shortened(name: str, most: int = LABEL_CHARACTERS) -> str:
    """A name with its middle left out where it is long."""
    if len(name) <= most:
        return name
    return f"{name[: most - most // 3 - 1]}\N{HORIZONTAL ELLIPSIS}{name[-(most // 3) :]}"


def sample_axis(axes: Axes, ks: Sequence[int]) -> None:
    axes.set(xlabel="samples a question", ylabel="accuracy", xscale="log")
    if ks:
        # The last one stands for all samples; those that would run into each other are left out.
        shown = [k for k in ks if k == ks[-1] or k <= ks[-1] / 1.5]
        axes.set_xticks(shown[-MOST_TICKS:])
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.xaxis.minorticks_off()
    percent_axis(axes)


def percent_axis(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(whole_percent)


def whole_percent(value: float, _: float = 0.0) -> str:
    """A share as a label of an axis; the second argument is the place of a tick."""
    percent = 100 * value
    return f"{percent:.0f}%" if abs(percent - round(percent)) < 1e-6 else f"{percent:.1f}%"


def token_axis(axes: Axes, tokens: Sequence[float]) -> None:
    """Make the axis of tokens logarithmic, where anybody has counted them."""
    from matplotlib.ticker import EngFormatter, LogLocator

    counted = [count for count in tokens if count > 0]
    if not counted:
        return
    axes.set_xscale("log")
    is_wide = max(counted) / min(counted) > WIDE
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if is_wide else (1, 2, 5)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 50k, for 50,000 takes room
    axes.xaxis.minorticks_off()


def tokens_from_zero(axes: Axes, tokens: Sequence[float]) -> None:
    """Powers of ten from the fewest tokens on, and a place for arms that do not think."""
    from matplotlib.ticker import EngFormatter

    fewest = min((x for x in tokens if x > 0), default=1.0)
    if min(tokens) > 0:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=fewest, linscale=0.5)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.minorticks_off()


def series_colours(count: int) -> list[str]:
    return [SERIES[place % len(SERIES)] for place in range(count)]


def height_with_legend(names: int) -> float:
    return HEIGHT + 0.24 * -(-names // 2)


def add_legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=2)


def names_of(axes: Axes) -> str:
    return ", ".join(name.replace(r"\$", "$") for name in axes.get_legend_handles_labels()[1])
