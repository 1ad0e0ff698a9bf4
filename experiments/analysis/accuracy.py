"""Accuracy over questions, with what a grader could not say counted both ways.

A question whose grader fails at an answer is none to leave out: those are the hard ones. The figure
counts it as wrong, and the interval reaches from there to what it would be if all of them were
right, so the truth lies inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.intervals import clustered_interval


class Accuracy(NamedTuple):
    """A mean over questions with its 95% interval; nan without questions."""

    mean: float
    low: float
    high: float


NOTHING = Accuracy(math.nan, math.nan, math.nan)


def accuracy_of(
    least: Sequence[float] | Scores,
    most: Sequence[float] | Scores | None = None,
    clusters: Sequence[str] | None = None,
) -> Accuracy:
    """The accuracy of questions [Q] that are worth from `least` to `most`, the same by default.

    `clusters` [Q] names the template of each question, where they come from templates.
    """
    worth = np.asarray(least, np.float64)
    if not worth.size:
        return NOTHING
    low, high = clustered_interval(worth.clip(0.0, 1.0), clusters=clusters)
    if most is not None and not np.array_equal(worth, most):
        upper = np.asarray(most, np.float64).clip(0.0, 1.0)
        high = clustered_interval(upper, clusters=clusters).high
    return Accuracy(float(worth.mean()), low, high)


def known_as(verdict: float, unknown: float) -> float:
    """The verdict, or what stands for one that nobody knows."""
    return unknown if math.isnan(verdict) else verdict
