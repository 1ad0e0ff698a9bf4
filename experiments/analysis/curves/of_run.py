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
from nbest.experiments.analysis.curves.arms import ArmTable, arm_table
from nbest.experiments.analysis.curves.exact import (
    Curve,
    any_curves,
    baseline_curves,
    best_curves,
    g_pass_curve,
    graded_cases,
    has_arms,
    powers_of_two,
    smallest_pool,
    ungraded_samples,
    values_of,
)
from nbest.experiments.analysis.curves.of_selectors import (
    ScoredPools,
    scored_pools,
    selector_curves,
)
from nbest.experiments.analysis.table.rows import named_clusters
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import cases_of, reading_of
from nbest.experiments.runs.selectors import named, named_scorers
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.protocols import Scorer, is_pointwise
from nbest.orchestrator.requirements import require
from nbest.orchestrator.store.format.schema import FINAL
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Scores
from nbest.scorers.baselines import First, Longest, Random, Shortest
from nbest.scorers.estimators.coverage import Extrapolation, extrapolate
from nbest.scorers.estimators.over_optimisation import Watch, judged_together, watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Selectors side by side, and what they are measured against."""

    curves: tuple[Curve, ...]
    baselines: tuple[Curve, ...]  # one sample alone, any sample right, shares of right ones
    ks: tuple[int, ...]  # the numbers of samples to show
    notes: tuple[str, ...]  # what is estimated; where more samples make a choice worse
    beyond: Mapping[int, Extrapolation]  # coverage by k, for more samples than were drawn
    arms: ArmTable | None = None  # of the first selector, where a panel has drawn


def curves_of(
    run: StrPath,
    selectors: str | None,
    ks: Sequence[int] | None = None,
    extract: str | None = None,
    grade: str | None = None,
    equivalence: str | None = None,
    beyond: Sequence[int] = (),
    g_pass: Sequence[float] = (),
) -> Curves:
    """Measure selectors on a run; by default its own, at powers of two up to the smallest pool.

    `beyond` asks for the coverage of more samples than there are, by extrapolation, and `g_pass`
    for the chance that at least such a share of k samples is right.
    """
    reader = RunReader(run)
    scorers = named_scorers(named(selectors), reader)
    reading = reading_of(reader, extract, grade, equivalence)
    loaded = cases_of(reader, reading, scorers.values())
    cases = graded_cases(loaded)
    if not cases:
        hint = "gold answers (dataset.answer), or --grade"
        raise InputError(f"run must hold graded questions, {str(run)!r} has none: it wants {hint}")
    largest = smallest_pool(cases)
    shown_ks = tuple(ks) if ks else powers_of_two(largest)
    _require_shares(g_pass, cases)
    _require_sizes(shown_ks, beyond, cases)
    pools = scored_pools(scorers, cases)
    measured = selector_curves(scorers, pools, shown_ks, largest)
    curves = tuple(measured.values())
    warnings = watch_warnings(scorers, pools, largest)
    return Curves(
        curves=curves,
        baselines=(
            *baseline_curves(cases, largest),
            *(g_pass_curve(cases, largest, share) for share in g_pass),
        ),
        ks=shown_ks,
        notes=(
            *sampling_notes(curves),
            *_notes(scorers, loaded, cases, beyond),
            *run_notes(reader),
            *warnings,
        ),
        beyond=_extrapolated(cases, beyond),
        arms=arm_table(*next(iter(scorers.items())), cases),
    )


def _require_shares(g_pass: Sequence[float], cases: Sequence[Case]) -> None:
    is_one_law = not (g_pass and has_arms(cases))
    require(is_one_law, "g_pass", "be left out for a run with arms: they follow no one law", g_pass)
    for share in g_pass:
        require(0 < share <= 1, "g_pass", "lie in (0, 1]", share)


def _require_sizes(ks: Sequence[int], beyond: Sequence[int], cases: Sequence[Case]) -> None:
    largest = smallest_pool(cases)
    is_one_law = not (beyond and has_arms(cases))
    require(is_one_law, "beyond", "be left out for a run with arms: they follow no one law", beyond)
    for k in ks:
        rule = f"lie in 1..{largest}, the samples of the question that has fewest"
        require(1 <= k <= largest, "k", rule, k)
    for k in beyond:
        require(k > largest, "beyond", f"be more than the {largest} samples drawn", k)


def _notes(
    scorers: Mapping[str, Scorer],
    loaded: Sequence[Case],
    cases: Sequence[Case],
    beyond: Sequence[int],
) -> tuple[str, ...]:
    """What is uneven, tied or unknown in the samples of a run."""
    templates = _template_notes(cases) if beyond else ()
    return (*curve_notes(scorers, loaded, cases), *templates, *_panel_notes(loaded))


def _panel_notes(loaded: Sequence[Case]) -> tuple[str, ...]:
    """Say where samples of a panel never ended: the turns after them come forward."""
    failed = sum(s.status not in FINAL for case in loaded for s in case.candidates.samples)
    if not failed or not has_arms(loaded):
        return ()
    return (f"{failed} samples never ended: at small k, arms have the turns of those that did",)


def _template_notes(cases: Sequence[Case]) -> tuple[str, ...]:
    """Say that an extrapolation knows no templates."""
    if named_clusters([case.cluster for case in cases]) is None:
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


def _highest(most: NDArray[np.int64], drawn: NDArray[np.int64], ks: Sequence[int]) -> list[float]:
    """The upper ends if all unknown samples are right; 1 where there is too little for a law."""
    try:
        return [point.high for point in extrapolate(most, drawn, ks)]
    except InputError:
        return [1.0] * len(ks)


def watch_warnings(
    scorers: Mapping[str, Scorer], pools: ScoredPools, largest: int
) -> tuple[str, ...]:
    """Warn where more samples make a choice worse, all selectors of a table judged together."""
    if has_arms(pools.cases):  # the watch takes samples for alike
        return ()
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
