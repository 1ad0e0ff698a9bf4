"""What abstention would do to a selector: curves for `--json`, sentences for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from nbest.experiments.analysis.table.rows import Row, named_clusters
from nbest.experiments.config.threshold import Threshold
from nbest.scorers.estimators.risk_coverage import (
    Guarantee,
    RiskPoint,
    answers_needed,
    aurc,
    auroc,
    auroc_bounds,
    fitted_threshold,
    risk_coverage,
)

MAX_POINTS = 50  # of a printed curve


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimit:
    """Which risk a threshold has to keep, and how sure that must be."""

    max_risk: float
    delta: float = 0.1

    def fitted(self, row: Row, num_selectors: int = 1) -> Guarantee | None:
        """Fit the threshold of a selector on the questions of its row; None: there is none.

        There is none for questions from templates, either.

        Of several selectors each gets its part of delta: whoever picks one of their thresholds is
        wrong no more often than `delta`.
        """
        answered = _answered(row)
        if answered.clusters is not None:
            return None  # the bounds are of answers that were drawn independently
        return fitted_threshold(
            answered.confidence,
            answered.is_right(),
            max_risk=self.max_risk,
            delta=self.delta / num_selectors,
            n_queries=row.n_graded,
        )


def abstention_json(
    row: Row, limit: RiskLimit | None = None, num_selectors: int = 1
) -> dict[str, object]:
    """The keys that `--json` has for a selector beside those of its row; null where ungraded."""
    answered = _answered(row)
    confidence, is_right = answered.confidence, answered.is_right()
    points = risk_coverage(confidence, is_right, row.n_graded)
    order = auroc(confidence, is_right)
    interval = None
    if not math.isnan(order):
        interval = auroc_bounds(confidence, answered.verdicts, answered.clusters)
    document: dict[str, object] = {
        "aurc": _or_none(aurc(confidence, is_right, row.n_graded)),
        "auroc": _or_none(order),
        "auroc_low": interval and interval.low,
        "auroc_high": interval and interval.high,
        "risk_coverage": [asdict(point) for point in _thinned(points)] if points else None,
    }
    if limit is not None:
        guarantee = limit.fitted(row, num_selectors)
        document["guarantee"] = guarantee and _guarantee_json(row, guarantee)
    return document


def _guarantee_json(row: Row, guarantee: Guarantee) -> dict[str, object]:
    """The guarantee, and `min_confidence` as it is to be typed in, with its number of samples."""
    return {**asdict(guarantee), "min_confidence": str(threshold_of(row, guarantee))}


def threshold_of(row: Row, guarantee: Guarantee) -> Threshold:
    """The threshold with its number of samples, where all questions have the same."""
    fewest, most = row.samples_each
    return Threshold(guarantee.threshold, fewest if fewest == most else None)


def answered_sentence(row: Row) -> str:
    """Say how many questions got an answer, and how many of the answers are right."""
    count = row.n_queries - row.abstained
    text = f"{row.select}: {count} of {row.n_queries} questions answered"
    answered = _answered(row)
    if not answered.verdicts:
        return text
    least, most = (
        f"{sum(answered.is_right(unknown)) / len(answered.verdicts):.3f}"
        for unknown in (False, True)
    )
    return f"{text}, {least if least == most else f'{least} to {most}'} of the graded answers right"


def guarantee_sentence(row: Row, limit: RiskLimit, num_selectors: int = 1) -> str:
    """Say the threshold and what holds for it, or why there is none."""
    answered = _answered(row)
    if answered.clusters is not None:
        return (
            f"{row.select}: no threshold is fitted: the questions come from templates "
            "(dataset.cluster), and the guarantee is for questions that are drawn independently"
        )
    guarantee = limit.fitted(row, num_selectors)
    sure, most = f"{1 - limit.delta:.0%}", f"{limit.max_risk:.1%}"
    together = f" for all {num_selectors} selectors together" if num_selectors > 1 else ""
    if guarantee is None:
        least = answers_needed(limit.max_risk, limit.delta / num_selectors)
        right = answered.is_right()
        return (
            f"{row.select}: no threshold keeps the risk at {most} with {sure} certainty{together}"
            f" (it takes at least {least} graded answers, all right; here are {len(right)}, "
            f"{sum(right)} of them right)"
        )
    threshold = f"{guarantee.threshold:.2f}"
    assert float(threshold) == guarantee.threshold  # what is printed is what was tested
    n = threshold_of(row, guarantee).n
    fewest, largest = row.samples_each
    each = f"{n} samples each" if n else f"{fewest} to {largest} samples each"
    return (
        f"{row.select}: with --min-confidence {threshold}{f'@{n}' if n else ''} at most {most} of"
        f" the answers are wrong, with {sure} certainty{together} on questions like these with"
        f" {each} (here {guarantee.coverage:.0%} answered, {guarantee.risk:.1%} of them wrong)"
    )


class _Answered(NamedTuple):
    """The graded answers of a selector, each with its confidence, verdict and template."""

    confidence: list[float]
    verdicts: list[float]  # 1 right, 0 wrong, nan where the grader cannot say
    clusters: list[str] | None

    def is_right(self, unknown: bool = False) -> list[bool]:
        """Whether each is right; one of which nobody knows, as if it were `unknown`."""
        return [unknown if math.isnan(verdict) else verdict == 1.0 for verdict in self.verdicts]


def _answered(row: Row) -> _Answered:
    return _Answered(
        [choice.confidence for choice in row.given],
        [choice.verdict for choice in row.given],
        named_clusters([choice.cluster for choice in row.given]),
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _thinned(points: Sequence[RiskPoint]) -> list[RiskPoint]:
    """Keep at most MAX_POINTS, the first and the last included."""
    if len(points) <= MAX_POINTS:
        return list(points)
    places = {round(i * (len(points) - 1) / (MAX_POINTS - 1)) for i in range(MAX_POINTS)}
    return [points[i] for i in sorted(places)]
