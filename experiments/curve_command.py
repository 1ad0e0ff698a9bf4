"""`nbest curve`: accuracy against the number of samples, from one run and without an engine.

Exact over all subsets where there is a closed form: a vote, and any scorer that looks at each
candidate alone. Other selectors are applied to random subsets, the same ones for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from experiments.config import split_selectors
from experiments.curves import (
    Curve,
    any_curves,
    best_curves,
    curve_of,
    graded_cases,
    one_curves,
    smallest_pool,
    vote_curves,
)
from experiments.evaluate import Case, require_logprobs
from experiments.select_command import load_cases, named_scorer
from orchestrator.errors import InputError
from orchestrator.protocols import Scorer
from orchestrator.selection import select
from orchestrator.types import Candidates, Scores
from scorers import First, MajorityVote, Random
from scorers.over_optimisation import watch

SUBSETS = 200  # a question and k, where nothing is exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Selectors side by side, and what they are measured against."""

    curves: tuple[Curve, ...]
    baselines: tuple[Curve, ...]  # one sample alone, any sample right
    ks: tuple[int, ...]  # the numbers of samples that were asked for
    warnings: tuple[str, ...]  # of the watch: more samples make a choice worse


def curves_of(
    run: Path,
    selectors: str,
    ks: Sequence[int] | None = None,
    extract: str | None = None,
    grade: str | None = None,
    equivalence: str | None = None,
) -> Curves:
    """The curves of selectors on a run; by default at powers of two up to the smallest pool."""
    scorers = {name: named_scorer(name, run) for name in split_selectors(selectors)}
    cases = graded_cases(load_cases(run, extract, grade, equivalence))
    if not cases:
        raise InputError(f"run must hold graded questions, {str(run)!r} has none")
    largest = smallest_pool(cases)
    wanted = tuple(ks) if ks else powers_of_two(largest)
    for k in wanted:
        rule = f"lie in 1..{largest}, the samples of the question that has fewest"
        if not 1 <= k <= largest:
            raise InputError(f"k must {rule}, got {k}")
    found = selector_curves(scorers, cases, wanted, largest)
    return Curves(
        curves=tuple(curve_of(name, by_question) for name, (by_question, _) in found.items()),
        baselines=(
            curve_of("one sample", one_curves(cases, largest)),
            curve_of("any right", any_curves(cases, largest)),
        ),
        ks=wanted,
        warnings=tuple(
            f"{name}: {verdict}" for name, (_, verdict) in found.items() if verdict is not None
        ),
    )


def selector_curves(
    scorers: Mapping[str, Scorer], cases: Sequence[Case], ks: Sequence[int], largest: int
) -> dict[str, tuple[Scores, str | None]]:
    """By name, the curves of the questions [Q, K], and the warning if there is one."""
    for name, scorer in scorers.items():
        require_logprobs(name, scorer, cases)
    return {n: asyncio.run(_curve(s, cases, ks, largest)) for n, s in scorers.items()}


def powers_of_two(largest: int) -> tuple[int, ...]:
    """1, 2, 4 and so on, and the largest itself."""
    powers = [1 << i for i in range(largest.bit_length()) if 1 << i <= largest]
    return tuple(dict.fromkeys([*powers, largest]))


async def _curve(
    scorer: Scorer, cases: Sequence[Case], ks: Sequence[int], largest: int
) -> tuple[Scores, str | None]:
    """[Q, K] of one selector, nan at the k that nobody asked for; and its warning."""
    if isinstance(scorer, MajorityVote):
        return vote_curves(cases, largest), None
    if isinstance(scorer, First | Random):  # any of k is as good as any other
        return one_curves(cases, largest), None
    if not getattr(scorer, "is_pointwise", False):
        return await _by_subsets(scorer, cases, ks, largest), None
    scores = [await scorer(case.query, case.candidates) for case in cases]
    curves = best_curves(cases, scores, largest)
    verdict = watch(curves)
    return curves, verdict.sentence() if verdict.is_worse else None


async def _by_subsets(
    scorer: Scorer, cases: Sequence[Case], ks: Sequence[int], largest: int
) -> Scores:
    """[Q, K] the mean over random subsets; their seed is that of the question's place alone."""
    curves = np.full((len(cases), largest), np.nan)
    for place, case in enumerate(cases):
        rng = np.random.default_rng(place)
        order = rng.permuted(np.tile(np.arange(len(case.candidates)), (SUBSETS, 1)), axis=1)
        for k in ks:
            # The first k of each order: what is chosen from k is chosen from among the next k, too.
            subsets = order[:1, :k] if k == len(case.candidates) else order[:, :k]
            curves[place, k - 1] = await _mean(scorer, case, subsets.tolist())
    return curves


async def _mean(scorer: Scorer, case: Case, subsets: Sequence[Sequence[int]]) -> float:
    right = []
    for subset in subsets:
        chosen = await select(case.query, taken(case.candidates, sorted(subset)), scorer)
        right.append(0.0 if chosen.answer is None else case.verdicts[chosen.answer])
    return float(np.mean(right))


def taken(candidates: Candidates, places: Sequence[int]) -> Candidates:
    """Those at these places, as if there were no others."""
    return replace(
        candidates,
        samples=tuple(candidates.samples[i] for i in places),
        answers=tuple(candidates.answers[i] for i in places),
        scores={name: scores[list(places)] for name, scores in candidates.scores.items()},
    )


def rows(found: Curves) -> list[dict[str, str | int | float]]:
    """What `--json` prints; the name of the selector only where there are several."""
    is_one = len(found.curves) == 1
    return [
        ({} if is_one else {"select": curve.name})
        | {
            "k": k,
            "accuracy": curve.mean[k - 1],
            "low": curve.low[k - 1],
            "high": curve.high[k - 1],
            "n_queries": curve.n_queries,
        }
        for curve in found.curves
        for k in found.ks
    ]
