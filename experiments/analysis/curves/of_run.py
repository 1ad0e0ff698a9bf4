"""`nbest curve`: accuracy against the number of samples, from one run and without an engine.

Exact over all subsets where there is a closed form: a vote, and any scorer that looks at each
candidate alone. Other selectors are applied to random subsets, the same ones for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nbest.experiments.analysis.bias_notes import run_notes
from nbest.experiments.analysis.curves.exact import (
    Curve,
    answered_curves,
    any_curves,
    best_curves,
    curve_of,
    graded_cases,
    one_curves,
    smallest_pool,
    values_of,
    vote_curves,
)
from nbest.experiments.analysis.curves.sampled import sampled_curves
from nbest.experiments.analysis.stored_logprobs import require_logprobs
from nbest.experiments.language.expressions import split_expressions
from nbest.experiments.runs.cases import Case, cases_of, named_scorer, reading_of
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.protocols import Scorer, is_pointwise
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.tasks import wait_for
from nbest.scorers.baselines import First, Random
from nbest.scorers.estimators.coverage import Extrapolation, extrapolate
from nbest.scorers.estimators.over_optimisation import watch
from nbest.scorers.votes.majority import MajorityVote


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Selectors side by side, and what they are measured against."""

    curves: tuple[Curve, ...]
    baselines: tuple[Curve, ...]  # one sample alone, any sample right
    ks: tuple[int, ...]  # the numbers of samples to show
    notes: tuple[str, ...]  # what is estimated; where more samples make a choice worse
    beyond: Mapping[int, Extrapolation]  # coverage by k, for more samples than were drawn


def curves_of(
    run: StrPath,
    selectors: str,
    ks: Sequence[int] | None = None,
    extract: str | None = None,
    grade: str | None = None,
    equivalence: str | None = None,
    beyond: Sequence[int] = (),
) -> Curves:
    """Measure selectors on a run; by default at powers of two up to the smallest pool.

    `beyond` asks for the coverage of more samples than there are, by extrapolation.
    """
    scorers = {name: named_scorer(name, run) for name in split_expressions(selectors)}
    reader = RunReader(run)
    cases = graded_cases(
        cases_of(reader, reading_of(reader, extract, grade, equivalence), scorers.values())
    )
    if not cases:
        raise InputError(f"run must hold graded questions, {str(run)!r} has none")
    largest = smallest_pool(cases)
    shown_ks = tuple(ks) if ks else powers_of_two(largest)
    for k in shown_ks:
        rule = f"lie in 1..{largest}, the samples of the question that has fewest"
        if not 1 <= k <= largest:
            raise InputError(f"k must {rule}, got {k}")
    for k in beyond:
        if k <= largest:
            raise InputError(f"beyond must be more than the {largest} samples drawn, got {k}")
    measured = selector_curves(scorers, cases, shown_ks, largest)
    curves = tuple(curve for curve, _ in measured.values())
    warnings = tuple(f"{name}: {text}" for name, (_, text) in measured.items() if text)
    return Curves(
        curves=curves,
        baselines=(
            curve_of("one sample", one_curves(cases, largest)),
            curve_of("any right", any_curves(cases, largest)),
        ),
        ks=shown_ks,
        notes=(*sampling_notes(curves), *run_notes(reader), *warnings),
        beyond=_extrapolated(cases, beyond),
    )


def _extrapolated(cases: Sequence[Case], ks: Sequence[int]) -> dict[int, Extrapolation]:
    right = np.array([int(values_of(case).sum()) for case in cases])
    drawn = np.array([len(case.candidates) for case in cases])
    return dict(zip(ks, extrapolate(right, drawn, ks), strict=True)) if ks else {}


def selector_curves(
    scorers: Mapping[str, Scorer], cases: Sequence[Case], ks: Sequence[int], largest: int
) -> dict[str, tuple[Curve, str]]:
    """The curve of each selector, by name, with the warning of the watch or an empty text."""
    for name, scorer in scorers.items():
        require_logprobs(name, scorer, cases)
    return {n: wait_for(_curve(n, s, cases, ks, largest)) for n, s in scorers.items()}


def powers_of_two(largest: int) -> tuple[int, ...]:
    """1, 2, 4 and so on, and the largest itself."""
    powers = [1 << i for i in range(largest.bit_length()) if 1 << i <= largest]
    return tuple(dict.fromkeys([*powers, largest]))


async def _curve(
    name: str, scorer: Scorer, cases: Sequence[Case], ks: Sequence[int], largest: int
) -> tuple[Curve, str]:
    """The curve of one selector; without a closed form, nan at every k that `ks` lacks."""
    if isinstance(scorer, MajorityVote):
        return curve_of(name, vote_curves(cases, largest)), ""
    if isinstance(scorer, First | Random):  # any of k is as good as any other
        return curve_of(name, answered_curves(cases, largest)), ""
    if not is_pointwise(scorer):
        drawn = await sampled_curves(scorer, cases, ks, largest)
        return curve_of(name, drawn.means, drawn.variances, drawn.subsets), ""
    scores = [await scorer(case.query, case.candidates) for case in cases]
    curves = best_curves(cases, scores, largest)
    verdict = watch(curves)
    return curve_of(name, curves), verdict.sentence() if verdict.is_worse else ""


def sampling_notes(curves: Sequence[Curve]) -> tuple[str, ...]:
    """What is estimated from random subsets, and how well."""
    return tuple(
        f"{curve.name}: estimated from {curve.subsets:,} subsets of each "
        f"question, which adds a standard error of {curve.drawing_error:.4f}"
        for curve in curves
        if curve.drawing_error
    )


def json_rows(curves: Curves) -> list[dict[str, str | int | float]]:
    """What `--json` prints: a row for each curve, baselines last, and each k.

    Extrapolated rows come at the end, under "any right": they are coverage.
    """
    extrapolated: list[dict[str, str | int | float]] = [
        {
            "select": "any right",
            "k": k,
            "accuracy": estimate.coverage,
            "low": estimate.low,
            "high": estimate.high,
            "n_queries": curves.curves[0].n_queries,
        }
        for k, estimate in curves.beyond.items()
    ]
    rows: list[dict[str, str | int | float]] = [
        {
            "select": curve.name,
            "k": k,
            "accuracy": curve.mean[k - 1],
            "low": curve.low[k - 1],
            "high": curve.high[k - 1],
            "n_queries": curve.n_queries,
        }
        for curve in (*curves.curves, *curves.baselines)
        for k in curves.ks
    ]
    return rows + extrapolated
