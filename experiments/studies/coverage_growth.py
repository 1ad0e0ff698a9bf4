"""Study: how coverage, whether any sample is right, grows with the number of samples to 10,000.

    python -m nbest.experiments.studies.coverage_growth [--samples 10000] [--out FOLDER]

A few sums, very many samples of each. The curve is exact over all subsets of the samples; beside it
stand laws that were fitted to the first 100 samples of each question only, to the first 1,000, to
show what an extrapolation is worth, and to all of them. The same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nbest.experiments.analysis.curves.exact import (
    any_curves,
    graded_cases,
    smallest_pool,
    values_of,
)
from nbest.experiments.cli.display.progress_view import shown_progress
from nbest.experiments.cli.ending import run_command
from nbest.experiments.config.config import load_config
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.coverage import extrapolate, fit_beta_binomial, fit_power_law

CONFIG = Path(__file__).parents[1] / "configs" / "coverage.yaml"
FITTED_TO = (100, 1000)  # samples of each question, and all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """The laws fitted to the first `m` samples of each question."""

    m: int
    power_a: float  # log c = -a k^-b
    power_b: float
    power_law: tuple[float, ...]  # [K] coverage
    beta_binomial: tuple[float, ...]  # [K] coverage
    low: float  # 95% of the beta-binomial at the last k, over questions
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Coverage against k."""

    right: dict[str, int]  # by question, of all samples
    samples: int  # a question
    ks: tuple[int, ...]
    coverage: tuple[float, ...]  # [K] exact over all subsets, mean over questions
    laws: tuple[Law, ...]


def study(out: Path, samples: int) -> Growth:
    """Draw what is missing, and fit the laws."""
    run = out / "samples"
    with shown_progress() as report:
        carry_out(make_plan(load_config(CONFIG, [f"strategy.n={samples}"])), run, report)
    return growth(graded_cases(load_cases(run)))


def growth(cases: Sequence[Case]) -> Growth:
    """The curve and the laws, from graded questions with at least 10 samples each."""
    n = smallest_pool(cases)
    if n < 10:
        raise InputError(f"samples must be at least 10 a question, got {n}")
    values = [values_of(case)[:n] for case in cases]
    ks = decades(n)
    curve = any_curves(cases, n).mean(axis=0)
    sizes = (*(m for m in FITTED_TO if m < n), n)
    return Growth(
        right={c.query.id: int(v.sum()) for c, v in zip(cases, values, strict=True)},
        samples=n,
        ks=ks,
        coverage=tuple(float(curve[k - 1]) for k in ks),
        laws=tuple(law for m in sizes if (law := _law(values, m, ks)) is not None),
    )


def decades(n: int) -> tuple[int, ...]:
    """1, 3, 10, 30 and so on, and n itself."""
    steps = [step * 10**power for power in range(7) for step in (1, 3)]
    return (*(k for k in steps if k < n), n)


def _law(values: Sequence[Scores], m: int, ks: Sequence[int]) -> Law | None:
    """Fit both laws to the first m samples; None where they say too little to fit one."""
    right = np.array([int(v[:m].sum()) for v in values], np.int64)
    drawn = np.full(len(right), m, np.int64)
    sizes = np.array([k for k in decades(m) if k <= m], np.int64)
    # Coverage of k of the first m: the chance that not all k are among the wrong ones.
    wrong = np.array([[_all_wrong(m, c, int(k)) for k in sizes] for c in right])
    covered = 1 - wrong.mean(axis=0)
    if np.count_nonzero((covered > 0) & (covered < 1)) < 2:
        return None
    power = fit_power_law(sizes, covered)
    fitted, (last,) = fit_beta_binomial(right, drawn), extrapolate(right, drawn, ks[-1:])
    return Law(
        m=m,
        power_a=power.a,
        power_b=power.b,
        power_law=tuple(power.coverage(k) for k in ks),
        beta_binomial=tuple(fitted.coverage(k) for k in ks),
        low=last.low,
        high=last.high,
    )


def _all_wrong(n: int, c: int, k: int) -> float:
    return float(np.prod([max(n - c - i, 0) / (n - i) for i in range(k)]))


def table(results: Growth) -> str:
    """The results as plain text."""
    right = ", ".join(f"{count:,}" for count in results.right.values())
    lines = [f"right of {results.samples:,} samples, by question: {right}", ""]
    names = [name for law in results.laws for name in (f"power {law.m}", f"beta-bin. {law.m}")]
    lines.append(f"{'k':>7}  coverage" + "".join(f"{name:>16}" for name in names))
    for i, k in enumerate(results.ks):
        fits = [fit[i] for law in results.laws for fit in (law.power_law, law.beta_binomial)]
        lines.append(f"{k:>7,}  {results.coverage[i]:8.3f}" + "".join(f"{v:16.3f}" for v in fits))
    lines += [""] + [
        f"from the first {law.m:,}: log c = -{law.power_a:.2f} k^-{law.power_b:.3f}; "
        f"beta-binomial at {results.ks[-1]:,}: {law.beta_binomial[-1]:.3f} "
        f"({law.low:.2f} to {law.high:.2f} over questions)"
        for law in results.laws
    ]
    return "\n".join(lines)


def picture(results: Growth, file: Path) -> None:
    """Draw the curve and the laws, as SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(results.ks, results.coverage, marker="o", color="black", label="measured")
    for law in results.laws:
        axes.plot(results.ks, law.power_law, "--", label=f"power law, first {law.m:,}")
        axes.plot(results.ks, law.beta_binomial, ":", label=f"beta-binomial, first {law.m:,}")
    axes.set(xscale="log", xlabel="k, samples a question", ylabel="coverage", ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, metadata={"Date": None})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study, print the table, write `results.json` and `coverage.svg`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_AsItIs)
    parser.add_argument("--samples", type=int, default=10_000, help="of each question")
    parser.add_argument("--out", type=Path, default=Path("runs") / "coverage_growth")
    options = parser.parse_args(arguments)
    results = study(options.out, options.samples)
    (options.out / "results.json").write_text(json.dumps(asdict(results), indent=2) + "\n")
    picture(results, options.out / "coverage.svg")
    print(table(results))


_AsItIs = argparse.RawDescriptionHelpFormatter

if __name__ == "__main__":  # engines start processes that import this file
    run_command(main)
