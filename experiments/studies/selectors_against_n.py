"""Study: selectors against the number of samples, side by side on one pool.

    python -m nbest.experiments.studies.selectors_against_n [--questions 120] [--out FOLDER]

All that a selector may read without another model: answers, lengths, log-probabilities. What is
gained over the vote is paired by question. The same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nbest.experiments.analysis.curves.of_run import Curves, curves_of
from nbest.experiments.analysis.curves.view import curve_table, plot_curves
from nbest.experiments.analysis.select import compare
from nbest.experiments.cli.display.progress_view import shown_progress
from nbest.experiments.cli.display.tables import console
from nbest.experiments.cli.ending import run_command
from nbest.experiments.config.config import load_config
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan

CONFIG = Path(__file__).parents[1] / "configs" / "selectors.yaml"

SELECTORS = (
    "random",
    "vote",
    "mean_logprob",
    "sum_logprob",
    "self_certainty",
    "shortest",
    "longest",
    "weighted_vote(by=confidence(window=8))",
    'weighted_vote(by=mean_logprob, transform="rank")',
    "majority_of_bests(by=mean_logprob)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The accuracy of a selector with all the samples."""

    select: str
    accuracy: float
    low: float
    high: float


def study(out: Path, questions: int) -> tuple[Curves, list[Chosen]]:
    """Draw what is missing; return the curves, and the choices from all samples."""
    run = out / "samples"
    with shown_progress() as report:
        carry_out(make_plan(load_config(CONFIG, [f"dataset.size={questions}"])), run, report)
    names = ",".join(SELECTORS)
    chosen = [
        Chosen(
            select=row.select,
            accuracy=row.accuracy,
            low=row.low,
            high=row.high,
        )
        for row in compare(run, names).rows
    ]
    return curves_of(run, names), chosen


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study, print the table, write `results.json` and `curves.svg`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_AsItIs)
    parser.add_argument("--questions", type=int, default=120)
    parser.add_argument("--out", type=Path, default=Path("runs") / "selectors_against_n")
    options = parser.parse_args(arguments)
    curves, chosen = study(options.out, options.questions)
    results = {"curves": asdict(curves), "chosen": [asdict(row) for row in chosen]}
    (options.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    plot_curves(curves, options.out / "curves.svg")
    console().print(curve_table(curves))
    for note in curves.notes:
        print(note)


_AsItIs = argparse.RawDescriptionHelpFormatter

if __name__ == "__main__":  # engines start processes that import this file
    run_command(main)
