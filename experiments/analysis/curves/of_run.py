"""`nbest curve`: accuracy against the number of samples, from one run and without an engine.

Exact over all subsets where there is a closed form: a vote, and any scorer that looks at each
candidate alone. Other selectors are applied to random subsets, the same ones for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbest.experiments.analysis.bias_notes import run_notes
from nbest.experiments.analysis.case_notes import curve_notes, sampling_notes
from nbest.experiments.analysis.curves.exact import (
    Curve,
    answered_curves,
    any_curves,
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
from nbest.scorers.estimators.over_optimisation import Watch, judged_together, watch
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
    reading = reading_of(reader, extract, grade, equivalence)
    loaded = cases_of(reader, reading, scorers.values())
    cases = graded_cases(loaded)
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
    pools = scored_pools(scorers, cases)
    measured = selector_curves(scorers, pools, shown_ks, largest)
    curves = tuple(measured.values())
    warnings = watch_warnings(scorers, pools, largest)
    return Curves(
        curves=curves,
        baselines=baseline_curves(cases, largest),
        ks=shown_ks,
        notes=(
            *sampling_notes(curves),
            *curve_notes(scorers, loaded, cases),
            *(_template_notes(pools) if beyond else ()),
            *run_notes(reader),
            *warnings,
        ),
        beyond=_extrapolated(cases, beyond),
    )


def _template_notes(pools: ScoredPools) -> tuple[str, ...]:
    """Say that an extrapolation knows no templates."""
    if pools.clusters is None:
        return ()
    return (
        "--beyond takes questions for independent: for those of a template its range is narrow",
    )


def _extrapolated(cases: Sequence[Case], ks: Sequence[int]) -> dict[int, Extrapolation]:
    if not ks:
        return {}
    drawn = np.array([len(case.candidates) for case in cases])
    least, most = (
        np.array([int(values_of(case, unknown).sum()) for case in cases]) for unknown in (0.0, 1.0)
    )
    points = extrapolate(least, drawn, ks)
    # More samples solve no fewer questions than those that were drawn, whatever a law says.
    seen = float(any_curves(cases, int(drawn.min()))[:, -1].mean())
    points = [p._replace(coverage=max(p.coverage, seen), high=max(p.high, seen)) for p in points]
    if not np.array_equal(least, most):
        highs = _highest(most, drawn, ks)
        points = [p._replace(high=max(p.high, h)) for p, h in zip(points, highs, strict=True)]
    return dict(zip(ks, points, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPools:
    """Cases, and what the selectors that look at each candidate alone make of them: once each."""

    cases: Sequence[Case]
    scores: Mapping[str, Sequence[Scores]]  # by selector: of each case, [N]

    @property
    def clusters(self) -> list[str] | None:
        """[Q] The templates of the questions, where the data name them."""
        return named_clusters([case.cluster for case in self.cases])


def scored_pools(scorers: Mapping[str, Scorer], cases: Sequence[Case]) -> ScoredPools:
    """Score the cases by each selector that looks at each candidate alone."""
    for name, scorer in scorers.items():
        require_logprobs(name, scorer, cases)

    async def scored() -> dict[str, list[Scores]]:
        return {
            name: [await scorer(case.query, case.candidates) for case in cases]
            for name, scorer in scorers.items()
            if is_pointwise(scorer) and not isinstance(scorer, MajorityVote | First | Random)
        }

    return ScoredPools(cases=cases, scores=wait_for(scored()))


def _highest(most: NDArray[np.int64], drawn: NDArray[np.int64], ks: Sequence[int]) -> list[float]:
    """The upper ends if all unknown samples are right; 1 where there is too little for a law."""
    try:
        return [point.high for point in extrapolate(most, drawn, ks)]
    except InputError:
        return [1.0] * len(ks)


def selector_curves(
    scorers: Mapping[str, Scorer], pools: ScoredPools, ks: Sequence[int], largest: int
) -> dict[str, Curve]:
    """The curve of each selector, by name."""
    return {n: wait_for(_curve(n, s, pools, ks, largest)) for n, s in scorers.items()}


def watch_warnings(
    scorers: Mapping[str, Scorer], pools: ScoredPools, largest: int
) -> tuple[str, ...]:
    """Warn where more samples make a choice worse, all selectors of a table judged together."""
    watched = {
        name: _watched(pools, scores, largest)
        for name, scores in pools.scores.items()
        if may_be_fooled(scorers[name])
    }
    named = zip(watched, judged_together(list(watched.values())), strict=True)
    return tuple(f"{name}: {verdict.sentence()}" for name, verdict in named if verdict.is_worse)


def _watched(pools: ScoredPools, scores: Sequence[Scores], largest: int) -> Watch:
    least = best_curves(pools.cases, scores, largest)
    most = None
    if ungraded_samples(pools.cases):
        most = best_curves(pools.cases, scores, largest, unknown=1.0)
    return watch(least, most=most, clusters=pools.clusters)


def may_be_fooled(scorer: Scorer) -> bool:
    """Whether the watch looks at a selector: at no baseline, for nobody has optimised a length."""
    return is_pointwise(scorer) and not isinstance(scorer, First | Random | Shortest | Longest)


async def _curve(
    name: str, scorer: Scorer, pools: ScoredPools, ks: Sequence[int], largest: int
) -> Curve:
    """The curve of one selector; without a closed form, nan at every k that `ks` lacks."""
    cases, scores = pools.cases, pools.scores.get(name)
    if isinstance(scorer, MajorityVote):
        return both_ways(name, cases, lambda unknown: vote_curves(cases, largest, unknown))
    if isinstance(scorer, First | Random):  # any of k is as good as any other
        return both_ways(name, cases, lambda unknown: answered_curves(cases, largest, unknown))
    if scores is not None:
        return both_ways(name, cases, lambda u: best_curves(cases, scores, largest, u))
    drawn = await sampled_curves(scorer, cases, ks, largest)
    most = None
    if ungraded_samples(cases):
        most = (await sampled_curves(scorer, cases, ks, largest, unknown=1.0)).means
    variances, subsets = drawn.variances, drawn.subsets
    return curve_of(name, drawn.means, variances, subsets, most=most, clusters=pools.clusters)


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
