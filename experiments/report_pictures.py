"""The pictures of a report: SVG as text, drawn by matplotlib, without a script."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from experiments.extras import optional
from experiments.report_data import RunReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def accuracy_against_k(reports: Sequence[RunReport]) -> str:
    """Every selector's curve, with its interval; of several runs their names stand before."""
    figure, axes = _figure("k, samples to choose from", "accuracy")
    ticks: set[int] = set()
    for report in reports:
        for curve in report.curves:
            ks = list(report.ks)
            (line,) = axes.plot(
                ks,
                [curve.mean[k - 1] for k in ks],
                marker=".",
                label=_label(report, curve.name, reports),
            )
            low, high = ([side[k - 1] for k in ks] for side in (curve.low, curve.high))
            axes.fill_between(ks, low, high, alpha=0.1, color=line.get_color())
            ticks |= set(ks)
    _logarithmic(axes, sorted(ticks))
    return _svg(figure, axes)


def accuracy_against_tokens(reports: Sequence[RunReport]) -> str:
    """The same against what it costs: tokens a question, those of verifiers and judges included."""
    figure, axes = _figure("tokens a question", "accuracy")
    for report in reports:
        extra = {row.select: row.scorer_tokens / max(1, row.n_samples) for row in report.rows}
        for curve in report.curves[2:]:
            each = report.tokens_a_sample + extra.get(curve.name, 0.0)
            ks = list(report.ks)
            axes.plot(
                [k * each for k in ks],
                [curve.mean[k - 1] for k in ks],
                marker=".",
                label=_label(report, curve.name, reports),
            )
        if report.replay is not None:
            label = _label(report, "adaptive vote", reports)
            axes.plot(report.replay.tokens, report.replay.accuracy, "*", markersize=12, label=label)
    if any(report.tokens_a_sample > 0 for report in reports):  # else nobody counted them
        axes.set_xscale("log")
    return _svg(figure, axes)


def risk_against_coverage(reports: Sequence[RunReport]) -> str:
    """What share of the answers is wrong if only the most confident are given."""
    figure, axes = _figure("share of questions answered", "share of answers that are wrong")
    for report in reports:
        if report.risk:
            name = report.rows[0].select
            axes.step(
                [point.coverage for point in report.risk],
                [point.risk for point in report.risk],
                where="post",
                label=_label(report, name, reports),
            )
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    return _svg(figure, axes)


def _label(report: RunReport, name: str, reports: Sequence[RunReport]) -> str:
    shown = f"{report.name}: {name}" if len(reports) > 1 else name
    # A $ begins mathematics there, and a name may be long.
    return shown.replace("$", r"\$")[:60].lstrip("_")


def _figure(x: str, y: str) -> tuple[Figure, Axes]:
    optional("matplotlib", "pictures", "report")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    return figure, axes


def _logarithmic(axes: Axes, ticks: Sequence[int]) -> None:
    axes.set_xscale("log")
    if ticks:
        axes.set_xticks(list(ticks))
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.xaxis.minorticks_off()


def _svg(figure: Figure, axes: Axes) -> str:
    if axes.lines:
        axes.legend(fontsize="small")
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]  # the rest is for a file of its own
