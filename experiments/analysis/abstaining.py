"""What abstention would do to a selector: curves for `--json`, sentences for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from nbest.experiments.analysis.rows import Row
from nbest.scorers.estimators.risk_coverage import (
    Guarantee,
    RiskPoint,
    answers_needed,
    aurc,
    auroc,
    fitted_threshold,
    risk_coverage,
)

MAX_POINTS = 50  # of a printed curve


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimit:
    """Which risk a threshold has to keep, and how sure that must be."""

    max_risk: float
    delta: float = 0.1

    def fitted(self, row: Row) -> Guarantee | None:
        """Fit the threshold of a selector on the questions of its row; None: there is none."""
        confidence, is_right = _columns(row)
        return fitted_threshold(confidence, is_right, max_risk=self.max_risk, delta=self.delta)


def abstention_json(row: Row, limit: RiskLimit | None = None) -> dict[str, object]:
    """The keys that `--json` has for a selector beside those of its row; null where ungraded."""
    confidence, is_right = _columns(row)
    points = risk_coverage(confidence, is_right, row.n_graded)
    area, order = aurc(confidence, is_right), auroc(confidence, is_right)
    document: dict[str, object] = {
        "aurc": None if math.isnan(area) else area,
        "auroc": None if math.isnan(order) else order,
        "risk_coverage": [asdict(point) for point in _thinned(points)] if points else None,
    }
    if limit is not None:
        guarantee = limit.fitted(row)
        document["guarantee"] = None if guarantee is None else asdict(guarantee)
    return document


def answered_sentence(row: Row) -> str:
    """Say how many questions got an answer, and how many of the answers are right."""
    count = row.n_queries - row.abstained
    text = f"{row.select}: {count} of {row.n_queries} questions answered"
    if not row.answered:
        return text
    right = sum(is_right for _, is_right in row.answered)
    return f"{text}, {right / len(row.answered):.3f} of the graded answers right"


def guarantee_sentence(row: Row, limit: RiskLimit) -> str:
    """Say the threshold and what holds for it, or why there is none."""
    guarantee = limit.fitted(row)
    sure, most = f"{1 - limit.delta:.0%}", f"{limit.max_risk:.1%}"
    if guarantee is None:
        least = answers_needed(limit.max_risk, limit.delta)
        return (
            f"{row.select}: no threshold keeps the risk at {most} with {sure} certainty"
            f" (it takes at least {least} graded answers, all right; here are {len(row.answered)})"
        )
    threshold = f"{guarantee.threshold:.2f}"
    assert float(threshold) == guarantee.threshold  # what is printed is what was tested
    return (
        f"{row.select}: with --min-confidence {threshold} at most {most} of the"
        f" answers are wrong, with {sure} certainty, on questions like these"
        f" (here {guarantee.coverage:.0%} answered, {guarantee.risk:.1%} of them wrong)"
    )


def _columns(row: Row) -> tuple[list[float], list[bool]]:
    return [c for c, _ in row.answered], [is_right for _, is_right in row.answered]


def _thinned(points: Sequence[RiskPoint]) -> list[RiskPoint]:
    """Keep at most MAX_POINTS, the first and the last included."""
    if len(points) <= MAX_POINTS:
        return list(points)
    places = {round(i * (len(points) - 1) / (MAX_POINTS - 1)) for i in range(MAX_POINTS)}
    return [points[i] for i in sorted(places)]
