"""Ranks of scores, ties included."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.types import Scores

Counts = NDArray[np.int64]


def tie_groups(scores: Scores) -> tuple[Counts, Counts]:
    """For each score, how many are lower, and how many are equal to it, itself included.

    [N] each. Nan counts for nothing: where the score is nan, both are 0.

    >>> [counts.tolist() for counts in tie_groups(np.array([0.5, 0.1, 0.5, np.nan]))]
    [[1, 0, 1, 0], [2, 1, 2, 0]]
    """
    known = ~np.isnan(scores)
    ordered = np.sort(scores[known])
    lower = np.searchsorted(ordered, scores, side="left")
    equal = np.searchsorted(ordered, scores, side="right") - lower
    return np.where(known, lower, 0), np.where(known, equal, 0)
