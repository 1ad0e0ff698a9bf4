"""Study: what a vote wins on recorded answers of large models, and what stopping early saves.

    python -m nbest.experiments.studies.recorded_votes POOL.jsonl... [--out docs/recorded_votes.svg]

All pools count alike. The curves are exact; the vote that stops early is replayed on random orders.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nbest.experiments.analysis.curves.exact import (
    baseline_curves,
    graded_cases,
    powers_of_two,
)
from nbest.experiments.analysis.curves.of_selectors import scored_pools, selector_curves
from nbest.experiments.analysis.replay.adaptive import ReplayedAdaptive
from nbest.experiments.analysis.replay.replay import replay_cases
from nbest.experiments.cli.ending import run_command
from nbest.experiments.report.drawing import add_legend, percent_axis, whole_percent
from nbest.experiments.report.svg import DIM, INK, SERIES, new_figure, standalone_svg
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.orchestrator.files import write_whole
from nbest.scorers.votes.majority import MajorityVote


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Means over the pools."""

    pools: tuple[str, ...]
    ks: tuple[int, ...]
    one_sample: float
    vote: tuple[float, ...]  # [K]
    any_right: tuple[float, ...]  # [K]
    adaptive: float  # accuracy of the vote that stops early
    adaptive_samples: float  # a question, aborted ones too
    saving: float  # share of the tokens of the largest k


def study(files: Sequence[Path], max_n: int, shuffles: int) -> Outcome:
    """Measure every pool; the same files give the same figures."""
    votes, ceilings, singles, replays = [], [], [], []
    ks = powers_of_two(max_n)
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            run = Path(folder) / file.stem
            import_pool([file], run, grade="number")
            cases = graded_cases(load_cases(run))
            scorers = {"vote": MajorityVote()}
            curve = selector_curves(scorers, scored_pools(scorers, cases), ks, max_n)["vote"]
            one, any_right = baseline_curves(cases, max_n)
            votes.append([curve.mean[k - 1] for k in ks])
            ceilings.append([any_right.mean[k - 1] for k in ks])
            singles.append(one.mean[0])
            replays.append(replay_cases(cases, ReplayedAdaptive(), max_n, shuffles))
    return Outcome(
        pools=tuple(file.stem for file in files),
        ks=ks,
        one_sample=float(np.mean(singles)),
        vote=tuple(np.mean(votes, axis=0).tolist()),
        any_right=tuple(np.mean(ceilings, axis=0).tolist()),
        adaptive=float(np.mean([replay.accuracy for replay in replays])),
        adaptive_samples=float(np.mean([replay.started for replay in replays])),
        saving=1 - sum(r.tokens for r in replays) / sum(r.tokens_fixed for r in replays),
    )


def picture(outcome: Outcome) -> str:
    """Draw the outcome as an SVG file of its own, for light and dark pages."""
    with new_figure(3.3) as (figure, axes):
        axes.axhline(outcome.one_sample, linestyle=":", color=DIM, label="one sample")
        axes.plot(outcome.ks, outcome.any_right, linestyle="--", color=DIM, label="any of k right")
        axes.plot(
            outcome.ks, outcome.vote, marker=".", linewidth=2.2, color=SERIES[0], label="vote of k"
        )
        axes.plot(
            [outcome.adaptive_samples],
            [outcome.adaptive],
            marker="*",
            markersize=15,
            linestyle="none",
            color=INK,
            label="vote that stops early",
        )
        axes.set(xscale="log", xlabel="samples a question", ylabel="right answers")
        axes.set_xticks(outcome.ks)
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.xaxis.minorticks_off()
        percent_axis(axes)
        add_legend(figure, axes)
    label = (
        f"AIME 2024, mean of {len(outcome.pools)} models: one sample "
        f"{whole_percent(outcome.one_sample)}, a vote of {outcome.ks[-1]} "
        f"{whole_percent(outcome.vote[-1])}, any right {whole_percent(outcome.any_right[-1])}"
    )
    return standalone_svg(figure, label)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="+", type=Path, metavar="POOL.jsonl")
    parser.add_argument("--max-n", type=int, default=64)
    parser.add_argument("--shuffles", type=int, default=200)
    parser.add_argument("--out", type=Path, help="the picture, an .svg")
    options = parser.parse_args()
    outcome = study(options.files, options.max_n, options.shuffles)
    if options.out is not None:
        write_whole(options.out, picture(outcome).encode())
    print(json.dumps(asdict(outcome), indent=2))


if __name__ == "__main__":
    run_command(main)
