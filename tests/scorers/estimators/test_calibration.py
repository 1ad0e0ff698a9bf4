"""Calibration against closed forms: bins, expected error, parts of Brier, what rejecting wins."""

from __future__ import annotations

import math
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.errors import InputError
from nbest.scorers.estimators.calibration import (
    auarc,
    brier,
    calibration_bins,
    calibration_error,
    prr,
    right_minus_wrong,
)

EIGHTHS = st.sampled_from([k / 8 for k in range(9)])
ANSWERS = st.lists(st.tuples(EIGHTHS, st.booleans()), max_size=60)


@given(ANSWERS)
def test_every_answer_is_in_one_bin_and_equal_ones_in_the_same(
    answers: list[tuple[float, bool]],
) -> None:
    confidence, right = [c for c, _ in answers], [r for _, r in answers]
    bins = calibration_bins(confidence, right, most=4)
    assert len(bins) <= 4
    assert sum(one.count for one in bins) == len(answers)
    for one, other in pairwise(bins):
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


def test_the_error_is_the_distance_of_accuracy_from_confidence() -> None:
    found = calibration_error([0.9] * 10 + [0.3] * 10, [True] * 5 + [False] * 5 + [True] * 10)
    assert found.error == pytest.approx((0.4 + 0.7) / 2)
    assert found.interval.low <= found.error <= found.interval.high
    assert found.by_chance < 0.2
    assert math.isnan(calibration_error([], []).error)
    with pytest.raises(InputError, match=r"confidence must lie in \[0, 1\], got \[1.5\]"):
        calibration_error([1.5, 0.5], [True, False])


def test_a_calibrated_confidence_has_the_error_of_chance() -> None:
    """It is never 0: that is why the figure of chance stands beside it."""
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(40):
        confidence = rng.random(200)
        found = calibration_error(confidence.tolist(), (rng.random(200) < confidence).tolist())
        assert found.error > 0
        inside += abs(found.error - found.by_chance) < 2.5 * 0.02
    assert inside >= 35


@given(ANSWERS.filter(bool))
def test_the_parts_of_brier_add_up(answers: list[tuple[float, bool]]) -> None:
    found = brier([c for c, _ in answers], [r for _, r in answers])
    assert found.reliability - found.resolution + found.spread == pytest.approx(found.score)
    assert min(found.reliability, found.resolution, found.spread) >= 0


def test_brier_of_known_cases() -> None:
    sure = brier([1.0, 1.0, 0.0], [True, True, False])
    assert (sure.score, sure.reliability) == (0.0, 0.0)
    assert sure.resolution == pytest.approx(sure.spread) == pytest.approx(2 / 9)
    constant = brier([0.5] * 4, [True, False, False, False])
    assert constant.resolution == 0.0
    assert constant.reliability == pytest.approx(1 / 16)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.booleans()), min_size=1, max_size=6))
def test_rejecting_is_the_mean_over_all_orders_of_ties(answers: list[tuple[float, bool]]) -> None:
    areas = []
    for order in permutations(answers):
        if all(a[0] >= b[0] for a, b in pairwise(order)):
            right = np.array([float(r) for _, r in order])
            areas.append(float((right.cumsum() / np.arange(1, len(right) + 1)).mean()))
    assert auarc([c for c, _ in answers], [r for _, r in answers]) == pytest.approx(np.mean(areas))


def test_the_ratio_is_0_at_random_and_1_for_an_oracle() -> None:
    right = [True, True, False, True, False]
    assert prr([0.5] * 5, right) == pytest.approx(0.0)
    assert prr([1.0 if r else 0.0 for r in right], right) == pytest.approx(1.0)
    assert prr([0.0 if r else 1.0 for r in right], right) < 0
    assert math.isnan(prr([0.1, 0.2], [True, True]))
    assert math.isnan(auarc([], []))


def test_a_wrong_answer_has_its_price() -> None:
    assert right_minus_wrong([True, False, None, None]) == 0.0
    assert right_minus_wrong([True, True, False, None], penalty=3.0) == pytest.approx(-0.25)
    assert math.isnan(right_minus_wrong([]))
    with pytest.raises(InputError, match="penalty must be 0 or more, got -1"):
        right_minus_wrong([True], penalty=-1)
