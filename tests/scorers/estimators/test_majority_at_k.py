"""The vote among k against all subsets, one by one."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbest.orchestrator.errors import InputError
from nbest.scorers.estimators.majority_at_k import majority_at_k


def by_hand(answers: list[str | None], right: set[str], k: int) -> Fraction:
    """Every subset of size k, and how often its plurality is right, ties shared."""
    total, subsets = Fraction(0), 0
    for subset in combinations(answers, k):
        votes = Counter(answer for answer in subset if answer is not None)
        most = max(votes.values(), default=0)
        winners = [answer for answer, count in votes.items() if count == most]
        if winners:
            total += Fraction(sum(answer in right for answer in winners), len(winners))
        subsets += 1
    return total / subsets


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "a", "b", "c", "d", None]), min_size=1, max_size=11),
    st.sets(st.sampled_from("abcd"), max_size=3),
)
def test_it_is_the_mean_over_all_subsets(answers: list[str | None], right: set[str]) -> None:
    counts = Counter(answer for answer in answers if answer is not None)
    curve = majority_at_k(
        list(counts.values()), [float(a in right) for a in counts], answers.count(None)
    )
    exact = [float(by_hand(answers, right, k)) for k in range(1, len(answers) + 1)]
    np.testing.assert_allclose(curve, exact, atol=1e-12)


def test_twelve_samples_with_ties_and_abstentions_at_every_k() -> None:
    answers = ["a"] * 4 + ["b"] * 4 + ["c", "d"] + [None] * 2
    curve = majority_at_k([4, 4, 1, 1], [1.0, 0.0, 1.0, 0.0], nulls=2)
    exact = [float(by_hand(answers, {"a", "c"}, k)) for k in range(1, 13)]
    np.testing.assert_allclose(curve, exact, atol=1e-12)


def test_one_sample_is_the_share_of_what_is_right() -> None:
    assert majority_at_k([3, 5], [1.0, 0.0], nulls=2)[0] == pytest.approx(0.3)


def test_all_samples_are_the_vote_itself() -> None:
    assert majority_at_k([5, 3], [1.0, 0.0])[-1] == pytest.approx(1.0, abs=1e-12)
    assert majority_at_k([5, 5], [1.0, 0.0])[-1] == pytest.approx(0.5, abs=1e-12)
    assert majority_at_k([3, 5], [1.0, 0.0])[-1] == pytest.approx(0.0, abs=1e-12)


def test_the_order_of_the_answers_does_not_matter() -> None:
    one = majority_at_k([9, 4, 4, 2], [0.0, 1.0, 0.0, 1.0], nulls=3)
    two = majority_at_k([4, 2, 9, 4], [1.0, 1.0, 0.0, 0.0], nulls=3)
    np.testing.assert_allclose(one, two, atol=1e-14)


def test_where_every_answer_is_right_only_silence_is_wrong() -> None:
    curve = majority_at_k([2, 1], [1.0, 1.0], nulls=2)
    assert curve == pytest.approx([0.6, 0.9, 1.0, 1.0, 1.0], abs=1e-12)


@pytest.mark.parametrize("n", [600, 2000])
def test_a_large_pool_neither_overflows_nor_loses_digits(n: int) -> None:
    """Two answers: the majority among k is a hypergeometric tail."""
    from scipy.stats import hypergeom

    right = int(0.55 * n)
    curve = majority_at_k([right, n - right], [1.0, 0.0], max_k=301)
    for k in (1, 2, 3, 64, 65, 300, 301):
        ahead = hypergeom.sf(k // 2, n, right, k)
        tied = hypergeom.pmf(k // 2, n, right, k) / 2 if k % 2 == 0 else 0.0
        assert curve[k - 1] == pytest.approx(ahead + tied, abs=1e-9)


def test_no_answers_at_all_are_worth_nothing() -> None:
    assert majority_at_k([], [], nulls=3).tolist() == [0.0, 0.0, 0.0]
    assert majority_at_k([], []).tolist() == []


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="values must have one number for each of the 2 counts"):
        majority_at_k([1, 2], [1.0])
    with pytest.raises(InputError, match="counts must be 1 or more each, got 0"):
        majority_at_k([1, 0], [1.0, 0.0])
    with pytest.raises(InputError, match="nulls must be 0 or more, got -1"):
        majority_at_k([1], [1.0], nulls=-1)
