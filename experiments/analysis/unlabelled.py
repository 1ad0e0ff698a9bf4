"""What can be said of selectors where no question has a gold answer.

How often two of them give the same answer, and which of them chooses, the more samples it has,
answers with smaller vote shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from nbest.experiments.analysis.curves.exact import share_curves, smallest_pool
from nbest.experiments.analysis.curves.of_run import may_be_fooled
from nbest.experiments.analysis.table.rows import Row, named_clusters
from nbest.experiments.runs.case import Case
from nbest.orchestrator.protocols import Scorer
from nbest.scorers.estimators.over_optimisation import judged_together, watch


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
    """Say of which selectors the vote share falls with k, all of them judged together.

    It is no warning of harm: a scorer that finds the rare right answer does the same as one that is
    fooled, and without gold answers nobody can tell the two apart.
    """
    largest = smallest_pool(cases)
    curves = {}
    for name, scorer in scorers.items():
        if largest and may_be_fooled(scorer):
            scores = [await scorer(case.query, case.candidates) for case in cases]
            curves[name] = share_curves(cases, scores, largest)
    clusters = named_clusters([case.cluster for case in cases])
    verdicts = judged_together(
        [watch(c, reach=float(c.max()) or 1.0, clusters=clusters) for c in curves.values()]
    )
    named = zip(curves, verdicts, strict=True)
    return tuple(f"{name}: {v.share_sentence()}" for name, v in named if v.is_worse)
