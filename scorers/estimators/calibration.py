"""Calibration: whether answers that come with a confidence of 80% are right in 80% of the cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nbest.orchestrator.requirements import require
from nbest.scorers.estimators.intervals import Interval, clustered_interval

MOST_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Answers of nearly the same confidence."""

    low: float  # the least confidence of them
    high: float  # the highest
    confidence: float  # mean
    accuracy: float  # share of right ones
    interval: Interval  # 95%, of the accuracy
    count: int


def calibration_bins(
    confidence: Sequence[float],
    is_right: Sequence[bool],
    most: int = MOST_BINS,
    clusters: Sequence[str] | None = None,
) -> list[CalibrationBin]:
    """Sort answers [Q] into at most `most` bins of about equally many, the least confident first.

    Equal mass, and not equal width: bins of few answers would say nothing (Nixon et al. 2019,
    arXiv 1904.01685). Answers of the same confidence are never parted, so a bin may be larger.
    `clusters` [Q] names the templates of the questions.
    """
    require(most >= 1, "most", "be 1 or more", most)
    values, right = np.asarray(confidence, np.float64), np.asarray(is_right, np.float64)
    if not values.size:
        return []
    _, groups, counts = np.unique(values, return_inverse=True, return_counts=True)
    # A group belongs to the bin in which its middle lies.
    middles = np.cumsum(counts) - counts / 2
    _, bins = np.unique(np.floor(middles * most / len(values)), return_inverse=True)
    names = None if clusters is None else np.asarray(clusters)
    found = []
    for place in range(int(bins.max()) + 1):
        inside = bins[groups] == place
        of_bin = None if names is None else names[inside].tolist()
        found.append(
            CalibrationBin(
                low=float(values[inside].min()),
                high=float(values[inside].max()),
                confidence=float(values[inside].mean()),
                accuracy=float(right[inside].mean()),
                interval=clustered_interval(right[inside], clusters=of_bin),
                count=int(inside.sum()),
            )
        )
    return found
