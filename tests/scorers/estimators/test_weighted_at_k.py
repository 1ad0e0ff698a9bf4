"""Weighted votes among k: against every subset by hand, and as what the scorer itself says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbest import majority_at_k
from nbest.orchestrator.errors import InputError
from nbest.scorers.estimators.weighted_at_k import weighted_choices

answer = st.sampled_from([None, "a", "b", "c"])
weight = st.sampled_from([math.nan, 0.0, 0.1, 0.2, 0.3, 1.0, -0.5])
WORTH = {None: 0.0, "a": 1.0, "b": 0.0, "c": 0.5}


def by_hand(
    answers: Sequence[str | None], weights: Sequence[float], subset: Sequence[int]
) -> float:
    """The exact totals of one subset; of those that tie each counts as often as it is there."""
    cast: dict[str, list[float]] = {}
    for i in subset:
        text = answers[i]
        if text is not None and not math.isnan(weights[i]):
            cast.setdefault(text, []).append(weights[i])
    if not cast:
        return 0.0
    best = max(math.fsum(votes) for votes in cast.values())
    winners = {text for text, votes in cast.items() if math.fsum(votes) > best - 1e-9}
    present = [answers[i] for i in subset if answers[i] in winners]
    return sum(WORTH[text] for text in present) / len(present)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(answer, weight), min_size=1, max_size=8), st.data())
def test_every_subset_is_decided_as_by_hand(
    pool: list[tuple[str | None, float]], data: st.DataObject
) -> None:
    answers, weights = [a for a, _ in pool], [w for _, w in pool]
    k = data.draw(st.integers(1, len(pool)))
    subsets = np.array(list(combinations(range(len(pool)), k)))
    values = np.array([WORTH[a] for a in answers])
    worth = weighted_choices(answers, np.array(weights), values, subsets)
    expected = [by_hand(answers, weights, subset) for subset in subsets.tolist()]
    np.testing.assert_allclose(worth, expected, atol=1e-12)


def test_totals_that_cancel_tie_with_zero() -> None:
    """0.1 + 0.3 - 0.5 + 0.1 is 2.8e-17 in floating point, and that is no lead."""
    answers, weights = ["a", "b", "b", "b", "b"], np.array([0.0, 0.1, 0.3, -0.5, 0.1])
    values = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    shared = weighted_choices(answers, weights, values, np.arange(5)[None])
    np.testing.assert_allclose(shared, [1 / 5])


def test_with_equal_weights_the_mean_over_all_subsets_is_the_vote() -> None:
    # Three answers, so ties of two and of three are among them; 3.7 adds up with rounding.
    answers = ["a"] * 4 + ["b"] * 3 + ["c"] * 2 + [None]
    values = np.array([1.0] * 4 + [0.0] * 5 + [0.0])
    for k in range(1, 11):
        subsets = np.array(list(combinations(range(10), k)))
        worth = weighted_choices(answers, np.full(10, 3.7), values, subsets).mean()
        assert worth == pytest.approx(majority_at_k([4, 3, 2], [1, 0, 0], 1)[k - 1], abs=1e-12)


def test_a_heavier_answer_beats_a_more_frequent_one() -> None:
    answers = ["a", "b", "b"]
    values = np.array([1.0, 0.0, 0.0])
    whole = np.array([[0, 1, 2]])
    for weights, right in (([3.0, 1.0, 1.0], 1.0), ([1.5, 1.0, 1.0], 0.0)):
        assert weighted_choices(answers, np.array(weights), values, whole).tolist() == [right]


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="weights must be 2 numbers, got 1"):
        weighted_choices(["a", "b"], np.ones(1), np.ones(2), np.array([[0]]))
    with pytest.raises(InputError, match="values must be 2 numbers, got 3"):
        weighted_choices(["a", "b"], np.ones(2), np.ones(3), np.array([[0]]))
