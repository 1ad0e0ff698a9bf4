"""What accuracy costs in tokens, and which points nothing cheaper comes near."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from nbest.experiments.analysis.curves.exact import Curve
from nbest.experiments.analysis.replay.figures import Replay
from nbest.experiments.analysis.table.rows import Row
from nbest.orchestrator.types import Scores, Usage
from nbest.scorers.estimators.paired import Difference, paired_difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """An accuracy, and what it costs."""

    name: str
    tokens: float  # a question: generated, and what verifiers and judges read and wrote
    accuracy: float
    worths: Scores = field(repr=False, compare=False)  # [Q] of each question
    # [Q] The same, if all that the grader could not say were right.
    most: Scores | None = field(default=None, repr=False, compare=False)
    clusters: Sequence[str] | None = None  # [Q] their templates, where the data name them


def spendings_of(
    rows: Sequence[Row],
    curves: Sequence[Curve],
    ks: Sequence[int],
    usage: Usage,
    replayed: Replay | None,
    clusters: Sequence[str] | None,
) -> tuple[Spending, ...]:
    tokens = usage.generated_tokens / max(1, usage.samples)
    extra = {row.select: row.scorer_tokens / max(1, row.n_samples) for row in rows}
    points = [
        Spending(
            name=curve.name,
            tokens=k * (tokens + extra.get(curve.name, 0.0)),
            accuracy=curve.mean[k - 1],
            worths=curve.worths[k],
            most=curve.worths_most[k],
            clusters=clusters,
        )
        for curve in curves
        for k in ks
    ]
    if replayed is not None and not math.isnan(replayed.tokens):
        points.append(
            Spending(
                name="adaptive vote",
                tokens=replayed.tokens,
                accuracy=replayed.accuracy,
                worths=replayed.worths,
                most=replayed.worths_most,
                clusters=clusters,
            )
        )
    return tuple(points)


def pareto_front(points: Sequence[Spending]) -> list[Spending]:
    """Keep the points that beat every cheaper one of the front beyond noise, the cheapest first.

    Beyond noise: the interval of the paired difference over questions, at a level for all points
    together, lies above 0. The highest of many equal points would be on any front otherwise.
    """
    front: list[Spending] = []
    confidence = 1 - 0.05 / max(1, len(points))
    for point in sorted(points, key=lambda p: (p.tokens, -p.accuracy)):
        if not front or _gain(point, front[-1], confidence).low > 0:
            front.append(point)
    return front


def _gain(point: Spending, over: Spending, confidence: float) -> Difference:
    most = over.worths if over.most is None else over.most  # what nobody knows makes no claim
    return paired_difference(point.worths, most, confidence, point.clusters)
