"""`nbest report`: writes one page about one run or several, to look at, to print, to send."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

from nbest.experiments.analysis.paired import Pair, compared, run_pairs
from nbest.experiments.analysis.replay.adaptive import ReplayedAdaptive
from nbest.experiments.language.text import printable
from nbest.experiments.pages.files import require_new, write_text
from nbest.experiments.questions.reading import ReadingNames
from nbest.experiments.report.costs import Prices
from nbest.experiments.report.data import SHOWN_QUESTIONS, RunReport, run_report
from nbest.experiments.report.headline import percent
from nbest.experiments.report.plots import common_limits, runs_plot
from nbest.experiments.report.run_page import run_page
from nbest.experiments.runs.selectors import named
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.requirements import require


def write_report(
    runs: Sequence[StrPath],
    out: Path,
    selectors: str | None = None,
    prices: Prices | None = None,
    *,
    shown: int = SHOWN_QUESTIONS,
    samples: str = "",
    force: bool = False,
    tell: Callable[[str], None] = lambda line: None,
    by: ReadingNames | None = None,
) -> Path:
    """Gather, draw and write the page: one file, no script, nothing that it loads.

    `samples` is the address of the page of `nbest view`, to which questions link; empty: no link.
    """
    require_new(out, force)
    names = named(selectors)
    require(shown >= 0, "questions", "be 0 or more", shown)
    reports = [run_report(run, names, shown, tell, by) for run in runs]
    page = report_page(reports, prices or Prices(), samples)
    write_text(out, page)
    return out


def report_page(reports: Sequence[RunReport], prices: Prices, samples: str = "") -> str:
    """Render the HTML. What a model wrote is escaped; only our own pictures go in as they are.

    `samples` is the address of the page of `nbest view`, to which questions link; empty: no link.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["share"] = share
    environment.filters["percent"] = percent
    environment.filters["seconds"] = seconds
    template = environment.from_string(_file("page.html"))
    graded = [report for report in reports if report.num_graded]
    limits = common_limits(graded)
    return template.render(
        title=printable(_listed([report.name for report in reports])),
        style=Markup(_file("page.css")),
        compared=_compared(reports),
        runs=[run_page(report, prices, limits) for report in reports],
        runs_plot=Markup(runs_plot(graded)) if len(graded) > 1 else "",
        ahead=ReplayedAdaptive().ahead,
        flops=prices.parameters > 0,
        price=prices.input_price + prices.output_price > 0,
        samples=samples,
    )


def _file(name: str) -> str:
    return files("nbest.experiments.report").joinpath(name).read_text(encoding="utf-8")


def _compared(reports: Sequence[RunReport]) -> list[str]:
    """What the other runs win over the first, all lines judged together.

    Questions that only share an id are left out.
    """
    pairs: list[Pair] = []
    left_out: list[str] = []
    for other in reports[1:]:
        first, same = reports[0], same_questions(reports[0], other)
        pairs += run_pairs(first.name, first.rows, other.name, other.rows, same)
        different = sum(not is_same for is_same in same.values())
        if different:
            what = "have other texts or gold answers, and are left out"
            left_out.append(
                f"{other.name}: {different:,} of {len(same):,} questions of the same id {what}"
            )
    return [*(line.sentence() for line in compared(pairs)), *left_out]


def same_questions(first: RunReport, other: RunReport) -> dict[str, bool]:
    """Of the ids of both runs, whether they are the same question with the same gold answer."""
    keys = other.questions
    return {key: keys[key] == number for key, number in first.questions.items() if key in keys}


def _listed(names: Sequence[str]) -> str:
    """The names as a list in words: `one, two and three`."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def seconds(value: float) -> str:
    """Seconds as a cell; a dash for imported samples, which do not say how long they took."""
    return f"{value:.1f}" if value > 0 else "-"
