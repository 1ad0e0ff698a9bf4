"""Bins of calibration: every answer in one of them, equal confidences together, truth inside."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.errors import InputError
from nbest.scorers.estimators.calibration import calibration_bins


@given(st.lists(st.tuples(st.sampled_from([k / 8 for k in range(9)]), st.booleans()), max_size=60))
def test_every_answer_is_in_one_bin_and_equal_ones_in_the_same(
    answers: list[tuple[float, bool]],
) -> None:
    confidence, right = [c for c, _ in answers], [r for _, r in answers]
    bins = calibration_bins(confidence, right, most=4)
    assert len(bins) <= 4
    assert sum(one.count for one in bins) == len(answers)
    for one, other in itertools.pairwise(bins):
        assert one.high < other.low
    for one in bins:
        inside = [r for c, r in answers if one.low <= c <= one.high]
        assert one.count == len(inside)
        assert one.accuracy == pytest.approx(np.mean(inside))
        assert one.interval.low <= one.accuracy <= one.interval.high


def test_bins_hold_about_equally_many() -> None:
    confidence = np.random.default_rng(1).random(1000) ** 3
    counts = [one.count for one in calibration_bins(confidence.tolist(), [True] * 1000)]
    assert counts == [100] * 10


def test_a_calibrated_confidence_lies_in_its_intervals() -> None:
    rng = np.random.default_rng(2)
    confidence = rng.random(4000)
    right = rng.random(4000) < confidence
    bins = calibration_bins(confidence.tolist(), right.tolist())
    inside = [one.interval.low <= one.confidence <= one.interval.high for one in bins]
    assert sum(inside) >= 8


def test_templates_widen_the_intervals() -> None:
    confidence, right = [0.5] * 40, [True] * 20 + [False] * 20
    (alone,) = calibration_bins(confidence, right)
    (together,) = calibration_bins(confidence, right, clusters=["a"] * 20 + ["b"] * 20)
    width = alone.interval.high - alone.interval.low
    assert together.interval.high - together.interval.low > width


def test_no_answers_are_no_bins() -> None:
    assert calibration_bins([], []) == []
    with pytest.raises(InputError, match="most must be 1 or more, got 0"):
        calibration_bins([0.5], [True], most=0)
