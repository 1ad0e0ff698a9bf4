"""How accuracy grows with thought: more samples, or longer thoughts in each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nbest.experiments.analysis.curves.arms import by_arm
from nbest.experiments.analysis.curves.exact import powers_of_two, smallest_pool
from nbest.experiments.analysis.curves.of_selectors import scored_pools, selector_curves
from nbest.experiments.runs.case import Case
from nbest.orchestrator.protocols import Scorer

ALL_ALIKE = "all samples"  # where there are no arms


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingCurve:
    """The accuracy of a selector with k samples of one arm, by the tokens of their thoughts."""

    arm: str
    ks: tuple[int, ...]  # [K]
    tokens: tuple[float, ...]  # [K] of thought, a question
    mean: tuple[float, ...]  # [K]
    low: tuple[float, ...]  # [K]
    high: tuple[float, ...]  # [K]


def thinking_curves(
    select: str, scorer: Scorer, cases: Sequence[Case]
) -> tuple[ThinkingCurve, ...]:
    """The curve of each arm, or of all samples alike; none where no sample has a thought."""
    if not any(thought_tokens([case]) for case in cases):
        return ()
    pools = by_arm(cases) or {ALL_ALIKE: list(cases)}
    return tuple(_curve(arm, select, scorer, pool) for arm, pool in pools.items() if pool)


def thought_tokens(cases: Sequence[Case]) -> float:
    """Tokens of the thought of one sample, in the mean over questions."""
    means = [
        np.mean([sample.reasoning_tokens for sample in case.candidates.samples]) for case in cases
    ]
    return float(np.mean(means))


def _curve(arm: str, select: str, scorer: Scorer, pool: Sequence[Case]) -> ThinkingCurve:
    largest, tokens = smallest_pool(pool), thought_tokens(pool)
    ks = powers_of_two(largest)
    curve = selector_curves({select: scorer}, scored_pools({select: scorer}, pool), ks, largest)
    points = curve[select]
    return ThinkingCurve(
        arm=arm,
        ks=tuple(ks),
        tokens=tuple(k * tokens for k in ks),
        mean=tuple(points.mean[k - 1] for k in ks),
        low=tuple(points.low[k - 1] for k in ks),
        high=tuple(points.high[k - 1] for k in ks),
    )
