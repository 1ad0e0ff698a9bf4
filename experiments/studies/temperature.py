"""Study: temperature against diversity, and whether a mixture of temperatures is worth more.

    python -m nbest.experiments.studies.temperature [--questions 120] [--out runs/temperature]

The same questions are sampled at several temperatures. The mixture takes equally many samples of
each: its coverage is exact over all such strata, its vote the mean over random ones. The same
command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nbest.experiments.analysis.curves.exact import graded_cases, one_curves, values_of, vote_curves
from nbest.experiments.cli.display.progress_view import shown_progress
from nbest.experiments.cli.ending import run_command
from nbest.experiments.config.config import load_config
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.intervals import clustered_interval
from nbest.scorers.estimators.paired import Difference, paired_difference
from nbest.scorers.estimators.pass_at_k import pass_at_k

CONFIG = Path(__file__).parents[1] / "configs" / "temperature.yaml"
TEMPERATURES = (0.3, 0.6, 0.9, 1.2)
SAMPLES = 16  # a question and temperature
DRAWS = 200  # mixtures of a question, for the vote

Answers = Sequence[tuple[str | None, float]]
"""[N] answers, and the value of each"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One temperature, or the mixture, at SAMPLES samples a question."""

    name: str
    one: float  # accuracy of one sample
    vote: float
    vote_low: float  # 95%, over questions
    vote_high: float
    coverage: float
    silent: float  # share of the samples that hold no answer
    distinct: float  # different answers a question
    entropy: float  # of the answers, in nats, mean over questions


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All settings, and the mixture beside the single temperature with the best vote."""

    questions: int
    settings: tuple[Setting, ...]
    best: str
    vote_gain: Difference  # of the mixture over the best
    coverage_gain: Difference


def study(out: Path, questions: int) -> Findings:
    """Draw what is missing, and compare the temperatures."""
    pools = {}
    for temperature in TEMPERATURES:
        run = out / f"t{temperature:g}"
        changes = [f"dataset.size={questions}", f"sampling.temperature={temperature}"]
        with shown_progress() as report:
            carry_out(make_plan(load_config(CONFIG, changes)), run, report)
        pools[f"{temperature:g}"] = graded_cases(load_cases(run))
    return findings(pools)


def findings(pools: Mapping[str, Sequence[Case]]) -> Findings:
    """Compare the temperatures, from the cases of the same questions under each."""
    single = {name: _measured(cases) for name, cases in pools.items()}
    strata = [
        [_answers(case) for case in question] for question in zip(*pools.values(), strict=True)
    ]
    mixed = _mixture(strata)
    settings = [_setting(name, *figures) for name, figures in {**single, "mixed": mixed}.items()]
    best = max(single, key=lambda name: float(single[name][1].mean()))
    return Findings(
        questions=len(strata),
        settings=tuple(settings),
        best=best,
        vote_gain=paired_difference(mixed[1], single[best][1]),
        coverage_gain=paired_difference(mixed[2], single[best][2]),
    )


Figures = tuple[Scores, Scores, Scores, Scores, Scores, Scores]
"""[Q] each: one sample, vote, coverage, share without an answer, distinct answers, entropy"""


def _measured(cases: Sequence[Case]) -> Figures:
    answers = [_answers(case) for case in cases]
    return (
        one_curves(cases, 1)[:, 0],
        vote_curves(cases, SAMPLES)[:, -1],
        np.array([float(values_of(case).any()) for case in cases]),
        *_diversity(answers),
    )


def _mixture(strata: Sequence[Sequence[Answers]]) -> Figures:
    """The figures of SAMPLES samples, equally many of each temperature."""
    share = SAMPLES // len(strata[0])
    coverage = [1 - math.prod(1 - _covered(s, share) for s in question) for question in strata]
    one = [np.mean([value for s in question for _, value in s]) for question in strata]
    votes, silent, distinct, entropy = [], [], [], []
    for q, question in enumerate(strata):
        rng = np.random.default_rng(q)
        mixtures = [_drawn(question, share, rng) for _ in range(DRAWS)]
        votes.append(np.mean([_vote(mixture) for mixture in mixtures]))
        spread = _diversity(mixtures)
        silent.append(spread[0].mean())
        distinct.append(spread[1].mean())
        entropy.append(spread[2].mean())
    columns = (one, votes, coverage, silent, distinct, entropy)
    arrays = [np.array(column, np.float64) for column in columns]
    return arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], arrays[5]


def _drawn(strata: Sequence[Answers], share: int, rng: np.random.Generator) -> Answers:
    return [s[i] for s in strata for i in rng.choice(len(s), share, replace=False)]


def _covered(answers: Answers, k: int) -> float:
    return pass_at_k(len(answers), int(sum(value for _, value in answers)), k)


def _vote(answers: Answers) -> float:
    """The value of the most frequent answer; those that tie win equally often."""
    counts = Counter(answer for answer, _ in answers if answer is not None)
    most = max(counts.values(), default=0)
    worth = dict(answers)
    return float(np.mean([worth[a] for a, c in counts.items() if c == most])) if most else 0.0


def _diversity(pools: Sequence[Answers]) -> tuple[Scores, Scores, Scores]:
    """[P] each: the share without an answer, the number of answers, their entropy in nats."""
    silent, distinct, entropy = [], [], []
    for pool in pools:
        counts = Counter(answer for answer, _ in pool if answer is not None)
        shares = np.array(list(counts.values()), np.float64) / max(1, sum(counts.values()))
        silent.append(sum(answer is None for answer, _ in pool) / len(pool))
        distinct.append(float(len(counts)))
        entropy.append(float(-(shares * np.log(shares)).sum()))
    return np.array(silent), np.array(distinct), np.array(entropy)


def _answers(case: Case) -> Answers:
    return list(zip(case.candidates.answers, values_of(case).tolist(), strict=True))


def _setting(name: str, *columns: Scores) -> Setting:
    one, vote, coverage, silent, distinct, entropy = (float(column.mean()) for column in columns)
    interval = clustered_interval(np.clip(columns[1], 0.0, 1.0))
    return Setting(
        name=name,
        one=one,
        vote=vote,
        vote_low=interval.low,
        vote_high=interval.high,
        coverage=coverage,
        silent=silent,
        distinct=distinct,
        entropy=entropy,
    )


def table(results: Findings) -> str:
    """The results as plain text."""
    lines = [
        f"{results.questions} questions x {SAMPLES} samples a temperature",
        "",
        "temperature  one sample  vote (95%)           coverage  no answer  different  entropy",
    ]
    lines += [
        f"{row.name:11}  {row.one:10.3f}  {row.vote:.3f} ({row.vote_low:.2f}-{row.vote_high:.2f})"
        f"    {row.coverage:8.3f}  {row.silent:9.3f}  {row.distinct:9.2f}  {row.entropy:7.2f}"
        for row in results.settings
    ]
    for what, gain in (("vote", results.vote_gain), ("coverage", results.coverage_gain)):
        interval = f"({gain.low:+.3f} to {gain.high:+.3f})"
        lines.append(f"{what}, mixed over {results.best}: {gain.mean:+.3f} {interval}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study, print the table, write `results.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_AsItIs)
    parser.add_argument("--questions", type=int, default=120)
    parser.add_argument("--out", type=Path, default=Path("runs") / "temperature")
    options = parser.parse_args(arguments)
    results = study(options.out, options.questions)
    (options.out / "results.json").write_text(json.dumps(asdict(results), indent=2) + "\n")
    print(table(results))


_AsItIs = argparse.RawDescriptionHelpFormatter

if __name__ == "__main__":  # engines start processes that import this file
    run_command(main)
