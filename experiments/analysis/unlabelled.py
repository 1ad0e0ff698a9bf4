"""What can be said of selectors where no question has a gold answer.

How often two of them give the same answer, and which of them chooses, the more samples it has,
answers with smaller vote shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from nbest.experiments.analysis.curves.exact import share_curves, smallest_pool
from nbest.experiments.analysis.rows import Row
from nbest.experiments.runs.cases import Case
from nbest.orchestrator.protocols import Scorer, is_pointwise
from nbest.scorers.estimators.over_optimisation import watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Two selectors on the same questions."""

    one: str
    other: str
    same: int  # questions with the same answer, or with none
    different: int


def agreements(rows: Sequence[Row]) -> tuple[Agreement, ...]:
    """How often the selectors of each pair give the same answer."""
    return tuple(_agreement(one, other) for one, other in combinations(rows, 2))


def _agreement(one: Row, other: Row) -> Agreement:
    chosen = other.answers
    pairs = [(answer, chosen[key]) for key, answer in one.answers.items() if key in chosen]
    same = sum(first == second for first, second in pairs)
    return Agreement(one=one.select, other=other.select, same=same, different=len(pairs) - same)


async def share_warnings(scorers: Mapping[str, Scorer], cases: Sequence[Case]) -> tuple[str, ...]:
    """Warn where vote shares fall with k, for selectors that look at each candidate alone."""
    largest = smallest_pool(cases)
    warnings = []
    for name, scorer in scorers.items():
        if largest == 0 or not is_pointwise(scorer):
            continue
        scores = [await scorer(case.query, case.candidates) for case in cases]
        verdict = watch(share_curves(cases, scores, largest))
        if verdict.is_worse:
            warnings.append(f"{name}: {verdict.sentence('vote share')}")
    return tuple(warnings)
