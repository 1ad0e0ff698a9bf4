"""The plots of a report, each of one run, with the same colour for a selector in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nbest.experiments.analysis.curves.view import plot_label
from nbest.experiments.report.data import RunReport
from nbest.experiments.report.drawing import (
    Limits,
    add_legend,
    baseline_lines,
    curve_line,
    height_with_legend,
    hover_points,
    name_ends,
    names_of,
    percent_axis,
    sample_axis,
    series_colours,
    token_axis,
    tokens_from_zero,
    whole_percent,
)
from nbest.experiments.report.headline import percent
from nbest.experiments.report.spending import Spending, pareto_front
from nbest.experiments.report.svg import (
    BAD,
    DIM,
    GOOD,
    INK,
    LINE,
    SERIES,
    new_figure,
    svg_text,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ADAPTIVE = "adaptive vote"


def headline_plot(report: RunReport, limits: Limits) -> str:
    """Accuracy against k: the first selector, the best of the others, one sample, any right.

    Each curve is named at its end.
    """
    first, others = report.curves[2:3], report.curves[3:]
    best = sorted(others, key=lambda curve: -curve.mean[-1])[:1]
    colours = selector_colours(report)
    with new_figure() as (figure, axes):
        hovers = baseline_lines(axes, report.curves[:2], report.ks)
        for curve in (*best, *first):
            hovers |= curve_line(axes, curve, report.ks, colours[curve.name])
        sample_axis(axes, report.ks)
        axes.set_ylim(limits)
        ends = {
            **{curve.name: (curve.mean[report.ks[-1] - 1], DIM) for curve in report.curves[:2]},
            **{c.name: (c.mean[report.ks[-1] - 1], colours[c.name]) for c in (*best, *first)},
        }
        name_ends(axes, ends, limits)
        label = "Accuracy against samples: " + ", ".join(
            f"{name} {percent(end)}" for name, (end, _) in ends.items()
        )
    return svg_text(figure, label, hovers)


def all_selectors_plot(report: RunReport, limits: Limits) -> str:
    """Accuracy against k of every selector, with intervals."""
    colours = selector_colours(report)
    with new_figure(height_with_legend(len(report.curves))) as (figure, axes):
        hovers = baseline_lines(axes, report.curves[:2], report.ks)
        for curve in report.curves[2:]:
            hovers |= curve_line(axes, curve, report.ks, colours[curve.name])
        sample_axis(axes, report.ks)
        axes.set_ylim(limits)
        add_legend(figure, axes)
    return svg_text(figure, f"Accuracy against samples: {names_of(axes)}", hovers)


def tokens_plot(report: RunReport, limits: Limits) -> str:
    """Accuracy against cost, verifiers and judges included, and the front of the best points."""
    colours = selector_colours(report)
    by_name = _by_name(report.spendings)
    hovers: dict[str, str] = {}
    with new_figure(height_with_legend(len(by_name) + 1)) as (figure, axes):
        _front_line(axes, report.spendings)
        for name, points in by_name.items():
            is_star = name == ADAPTIVE
            axes.plot(
                [point.tokens for point in points],
                [point.accuracy for point in points],
                marker="*" if is_star else ".",
                markersize=13 if is_star else 6,
                linestyle="none" if is_star else "-",
                color=colours.get(name, INK),
                label=plot_label(name),
            )
            hovers |= hover_points(
                axes,
                [
                    (p.tokens, p.accuracy, f"{name}: {p.tokens:,.0f} tokens, {percent(p.accuracy)}")
                    for p in points
                ],
            )
        axes.set(xlabel="tokens a question", ylabel="accuracy")
        percent_axis(axes)
        axes.set_ylim(limits)  # as of the other plot: noise is not made larger
        token_axis(axes, [point.tokens for point in report.spendings])
        add_legend(figure, axes)
    return svg_text(figure, f"Accuracy against tokens a question: {names_of(axes)}", hovers)


def _front_line(axes: Axes, spendings: Sequence[Spending]) -> None:
    front = pareto_front(spendings)
    if len(front) > 1:
        axes.plot(
            [point.tokens for point in front],
            [point.accuracy for point in front],
            color=LINE,
            linewidth=8,
            solid_capstyle="round",
            zorder=1,
            label="beats all cheaper, beyond noise",
        )


def thinking_plot(report: RunReport) -> str:
    """The first selector's curve in each arm: points are numbers of samples, 1, 2, 4 and so on."""
    with new_figure(height_with_legend(len(report.thinking))) as (figure, axes):
        for colour, curve in zip(
            series_colours(len(report.thinking)), report.thinking, strict=True
        ):
            axes.plot(
                curve.tokens, curve.mean, marker=".", color=colour, label=plot_label(curve.arm)
            )
            axes.fill_between(
                curve.tokens, curve.low, curve.high, alpha=0.12, color=colour, linewidth=0
            )
            for k, x, y in zip(curve.ks, curve.tokens, curve.mean, strict=True):
                if k in (curve.ks[0], curve.ks[-1]):
                    axes.annotate(f"{k}", (x, y), xytext=(0, 5), textcoords="offset points")
        axes.set(xlabel="tokens of thought a question", ylabel="accuracy")
        tokens_from_zero(axes, [x for curve in report.thinking for x in curve.tokens])
        percent_axis(axes)
        add_legend(figure, axes)
    return svg_text(figure, f"Accuracy against tokens of thought: {names_of(axes)}")


def risk_plot(report: RunReport) -> str:
    """The share of wrong answers if only the most confident ones are given."""
    colours = selector_colours(report)
    with new_figure(height_with_legend(len(report.risk))) as (figure, axes):
        for name, points in report.risk.items():
            axes.step(
                [point.coverage for point in points],
                [point.risk for point in points],
                where="post",
                color=colours[name],
                label=plot_label(name),
            )
        axes.set(xlabel="share of questions answered", ylabel="share of answers wrong")
        axes.set_xlim(0, 1.02)
        axes.set_ylim(bottom=0)
        percent_axis(axes)
        axes.xaxis.set_major_formatter(whole_percent)
        add_legend(figure, axes)
    return svg_text(figure, f"Wrong answers against questions answered: {names_of(axes)}")


def calibration_plot(report: RunReport) -> str:
    """Accuracy against confidence in bins of equally many answers, beside the diagonal."""
    bins = report.calibration
    with new_figure() as (figure, axes):
        axes.plot([0, 1], [0, 1], linestyle="--", color=DIM, linewidth=1)
        axes.errorbar(
            [one.confidence for one in bins],
            [one.accuracy for one in bins],
            [
                [max(0.0, one.accuracy - one.interval.low) for one in bins],
                [max(0.0, one.interval.high - one.accuracy) for one in bins],
            ],
            fmt="o-",
            color=SERIES[0],
            markersize=5,
            linewidth=1.8,
            elinewidth=1.2,
        )
        texts = [
            (
                one.confidence,
                one.accuracy,
                f"{one.count:,} answers, confidence {percent(one.low)} to {percent(one.high)}: "
                f"{percent(one.accuracy)} right",
            )
            for one in bins
        ]
        hovers = hover_points(axes, texts)
        axes.set(xlabel="share of answers that agree", ylabel="share of them right")
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        percent_axis(axes)
        axes.xaxis.set_major_formatter(whole_percent)
    points = ", ".join(f"{percent(one.confidence)}: {percent(one.accuracy)}" for one in bins)
    return svg_text(figure, f"Share of right answers by confidence: {points}", hovers)


def right_counts_plot(report: RunReport) -> str:
    """Questions by how many of their samples are right."""
    from matplotlib.ticker import MaxNLocator

    counts = report.right_counts
    assert counts is not None
    bars, hovers = counts.bars, {}
    with new_figure() as (figure, axes):
        for place, bar in enumerate(bars):
            gid = f"right-{place}"
            colour = BAD if place == 0 else GOOD if place == len(bars) - 1 else SERIES[0]
            axes.bar([place], [bar.questions], color=colour, width=0.8, gid=gid)
            hovers[gid] = f"{bar.label}: {bar.questions:,} questions"
        shown = range(0, len(bars), 2 if len(bars) > 9 else 1)
        axes.set_xticks(list(shown), [bars[place].label for place in shown])
        if len(bars[1].label) > 3:
            axes.tick_params(axis="x", labelrotation=35)
        axes.set(xlabel=counts.unit, ylabel="questions")
        axes.xaxis.grid(visible=False)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    text = ", ".join(f"{bar.label}: {bar.questions}" for bar in bars)
    return svg_text(figure, f"Questions by right samples: {text}", hovers)


def runs_plot(reports: Sequence[RunReport]) -> str:
    """The first selector of each run against k."""
    with new_figure(height_with_legend(len(reports))) as (figure, axes):
        hovers: dict[str, str] = {}
        for colour, report in zip(series_colours(len(reports)), reports, strict=True):
            for curve in report.curves[2:3]:
                name = f"{report.name}, {curve.name}"
                hovers |= curve_line(axes, curve, report.ks, colour, name)
        sample_axis(axes, max((report.ks for report in reports), key=len))
        axes.set_ylim(common_limits(reports))
        add_legend(figure, axes)
    return svg_text(figure, f"Accuracy against samples: {names_of(axes)}", hovers)


def common_limits(reports: Sequence[RunReport]) -> Limits:
    """Ends of the axis of accuracy that hold every curve and interval of all runs."""
    values = [
        side[k - 1]
        for report in reports
        for curve in report.curves
        for side in (curve.low, curve.mean, curve.high)
        for k in report.ks
        if side[k - 1] == side[k - 1]
    ]
    if not values:
        return 0.0, 1.0
    low, high = max(0.0, min(values)), min(1.0, max(values))
    margin = 0.04 * max(0.05, high - low)
    return low - margin, high + margin


def selector_colours(report: RunReport) -> dict[str, str]:
    """The colour of each selector of a run, by its place."""
    names = [*(row.select for row in report.rows), *(curve.name for curve in report.curves[2:])]
    return {name: SERIES[place % len(SERIES)] for place, name in enumerate(dict.fromkeys(names))}


def _by_name(points: Iterable[Spending]) -> dict[str, list[Spending]]:
    by_name: dict[str, list[Spending]] = {}
    for point in points:
        by_name.setdefault(point.name, []).append(point)
    return by_name
