"""`nbest curve`: accuracy against the number of samples, from one run and without an engine.

Exact over all subsets where there is a closed form: a vote, and any scorer that looks at each
candidate alone. Other selectors are applied to random subsets, the same ones for all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nbest.experiments.analysis.bias_notes import run_notes
from nbest.experiments.analysis.curves.exact import (
    Curve,
    answered_curves,
    baseline_curves,
    best_curves,
    both_ways,
    curve_of,
    graded_cases,
    powers_of_two,
    smallest_pool,
    ungraded_samples,
    values_of,
    vote_curves,
)
from nbest.experiments.analysis.curves.sampled import sampled_curves
from nbest.experiments.analysis.rows import named_clusters
from nbest.experiments.analysis.stored_logprobs import require_logprobs
from nbest.experiments.language.expressions import split_expressions
from nbest.experiments.runs.cases import Case, cases_of, named_scorer, reading_of
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.protocols import Scorer, is_pointwise
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Scores
from nbest.scorers.baselines import First, Longest, Random, Shortest
from nbest.scorers.estimators.coverage import Extrapolation, extrapolate
from nbest.scorers.estimators.over_optimisation import judged_together, watch
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
    curves = tuple(measured.values())
    warnings = watch_warnings(scorers, cases, largest)
    return Curves(
        curves=curves,
        baselines=baseline_curves(cases, largest),
        ks=shown_ks,
        notes=(
            *sampling_notes(curves),
            *unknown_notes(cases),
            *pool_notes(cases),
            *tie_notes(scorers, cases),
            *run_notes(reader),
            *warnings,
        ),
        beyond=_extrapolated(cases, beyond),
    )


def _extrapolated(cases: Sequence[Case], ks: Sequence[int]) -> dict[int, Extrapolation]:
    if not ks:
        return {}
    drawn = np.array([len(case.candidates) for case in cases])
    least, most = (
        np.array([int(values_of(case, unknown).sum()) for case in cases]) for unknown in (0.0, 1.0)
    )
    points = extrapolate(least, drawn, ks)
    if not np.array_equal(least, most):
        above = extrapolate(most, drawn, ks)
        points = [p._replace(high=a.high) for p, a in zip(points, above, strict=True)]
    return dict(zip(ks, points, strict=True))


def selector_curves(
    scorers: Mapping[str, Scorer], cases: Sequence[Case], ks: Sequence[int], largest: int
) -> dict[str, Curve]:
    """The curve of each selector, by name."""
    for name, scorer in scorers.items():
        require_logprobs(name, scorer, cases)
    return {n: wait_for(_curve(n, s, cases, ks, largest)) for n, s in scorers.items()}


def watch_warnings(
    scorers: Mapping[str, Scorer], cases: Sequence[Case], largest: int
) -> tuple[str, ...]:
    """Warn where more samples make a choice worse, all selectors of a table judged together."""
    curves = {
        name: wait_for(best_values(scorer, cases, largest))
        for name, scorer in scorers.items()
        if may_be_fooled(scorer)
    }
    verdicts = judged_together([watch(by_question) for by_question in curves.values()])
    named = zip(curves, verdicts, strict=True)
    return tuple(f"{name}: {verdict.sentence()}" for name, verdict in named if verdict.is_worse)


def may_be_fooled(scorer: Scorer) -> bool:
    """Whether the watch looks at a selector: at no baseline, for nobody has optimised a length."""
    return is_pointwise(scorer) and not isinstance(scorer, First | Random | Shortest | Longest)


async def best_values(scorer: Scorer, cases: Sequence[Case], largest: int) -> Scores:
    """[Q, K] The accuracy of the best of k by a scorer that looks at each candidate alone."""
    scores = [await scorer(case.query, case.candidates) for case in cases]
    return best_curves(cases, scores, largest)


async def _curve(
    name: str, scorer: Scorer, cases: Sequence[Case], ks: Sequence[int], largest: int
) -> Curve:
    """The curve of one selector; without a closed form, nan at every k that `ks` lacks."""
    if isinstance(scorer, MajorityVote):
        return both_ways(name, cases, lambda unknown: vote_curves(cases, largest, unknown))
    if isinstance(scorer, First | Random):  # any of k is as good as any other
        return both_ways(name, cases, lambda unknown: answered_curves(cases, largest, unknown))
    if is_pointwise(scorer):
        scores = [await scorer(case.query, case.candidates) for case in cases]
        return both_ways(name, cases, lambda u: best_curves(cases, scores, largest, u))
    drawn = await sampled_curves(scorer, cases, ks, largest)
    most = None
    if ungraded_samples(cases):
        most = (await sampled_curves(scorer, cases, ks, largest, unknown=1.0)).means
    clusters = named_clusters([case.cluster for case in cases])
    variances, subsets = drawn.variances, drawn.subsets
    return curve_of(name, drawn.means, variances, subsets, most=most, clusters=clusters)


def unknown_notes(cases: Sequence[Case]) -> tuple[str, ...]:
    """Say where the grader could not, and what is made of it."""
    count, total = ungraded_samples(cases), sum(len(case.worths) for case in cases)
    if not count:
        return ()
    return (
        f"the grader could not say of {count:,} of {total:,} samples whether they are right: they "
        "count as wrong, and intervals reach to what they would be if all of them were right",
    )


def tie_notes(scorers: Mapping[str, Scorer], cases: Sequence[Case]) -> tuple[str, ...]:
    """Say that curves and tables treat equal votes differently, where there are any."""
    tied = sum(_is_tied(case) for case in cases)
    if not tied:
        return ()
    return tuple(
        f"{name}: of all samples {tied:,} of {len(cases):,} questions have equal votes: in curves "
        "equal answers share the win, in a table the first sample decides"
        for name, scorer in scorers.items()
        if isinstance(scorer, MajorityVote)
    )


def _is_tied(case: Case) -> bool:
    """Whether two answers lead with as many votes, and are not worth the same."""
    counts = Counter(answer for answer in case.candidates.answers if answer is not None)
    most = max(counts.values(), default=0)
    leaders = [case.verdicts[answer] for answer, count in counts.items() if count == most]
    return len(set(leaders)) > 1


def pool_notes(cases: Sequence[Case]) -> tuple[str, ...]:
    """Say where questions have different numbers of samples."""
    sizes = [len(case.candidates) for case in cases]
    if min(sizes) == max(sizes):
        return ()
    return (
        f"questions have from {min(sizes)} to {max(sizes)} samples: curves end at {min(sizes)}, "
        "and are of all subsets of what each question has",
    )


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
