"""Best-of-k curves against all subsets, one by one."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.best_of_k import BLOCK, best_choices, best_of_k
from nbest.scorers.estimators.pass_at_k import pass_at_k
from nbest.scorers.votes.ranked import best_of_m_chances


def by_hand(scores: Scores, values: Scores) -> list[float]:
    """Every subset of every size, and the mean value of those that are best in it."""
    curve = []
    for k in range(1, len(scores) + 1):
        won = []
        for subset in combinations(range(len(scores)), k):
            scored = [i for i in subset if not math.isnan(scores[i])]
            best = max((scores[i] for i in scored), default=None)
            winners = [values[i] for i in scored if scores[i] == best]
            won.append(sum(winners) / len(winners) if winners else 0.0)
        curve.append(sum(won) / len(won))
    return curve


score = st.sampled_from([math.nan, -1.5, 0.0, 0.25, 0.25, 3.0])
candidate = st.tuples(score, st.sampled_from([0.0, 0.5, 1.0]))


@settings(max_examples=60, deadline=None)
@given(st.lists(candidate, min_size=1, max_size=10))
def test_it_is_the_mean_over_all_subsets(pool: list[tuple[float, float]]) -> None:
    scores, values = map(np.array, zip(*pool, strict=True))
    np.testing.assert_allclose(best_of_k(scores, values), by_hand(scores, values), atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(candidate, min_size=1, max_size=12))
def test_the_order_does_not_matter(pool: list[tuple[float, float]]) -> None:
    moved = pool[::-1]
    one = best_of_k(*map(np.array, zip(*pool, strict=True)))
    two = best_of_k(*map(np.array, zip(*moved, strict=True)))
    assert one.tolist() == two.tolist()


@pytest.mark.parametrize(("n", "c"), [(10, 0), (10, 3), (10, 10), (200, 1)])
def test_for_a_perfect_score_it_is_pass_at_k(n: int, c: int) -> None:
    right = np.array([1.0] * c + [0.0] * (n - c))
    curve = best_of_k(right, right)
    assert curve == pytest.approx([pass_at_k(n, c, k) for k in range(1, n + 1)], abs=1e-12)


def test_it_agrees_with_the_exact_chances_of_winning() -> None:
    rng = np.random.default_rng(0)
    scores, values = rng.integers(0, 9, 60).astype(float), rng.random(60)
    scores[::7] = np.nan
    scored = ~np.isnan(scores)
    # Drawn from those with a score alone, for there the chances know of no others.
    curve = best_of_k(scores[scored], values[scored])
    for m in (1, 2, 7, 30, len(curve)):
        chances = best_of_m_chances(scores[scored], m)
        assert curve[m - 1] == pytest.approx(float(chances @ values[scored]), abs=1e-12)


def test_one_of_a_kind_at_the_top_wins_all_but_the_subsets_without_it() -> None:
    scores, values = np.arange(10_000.0), np.zeros(10_000)
    values[-1] = 1.0
    curve = best_of_k(scores, values)
    assert curve == pytest.approx(np.arange(1, 10_001) / 10_000, rel=1e-9)


def test_nobody_with_a_score_is_worth_nothing() -> None:
    assert best_of_k(np.full(3, np.nan), np.ones(3)).tolist() == [0.0, 0.0, 0.0]
    assert best_of_k(np.empty(0), np.empty(0)).tolist() == []


def test_values_must_fit() -> None:
    with pytest.raises(InputError, match=r"values must have shape \(2,\), got \(3,\)"):
        best_of_k(np.zeros(2), np.zeros(3))


def test_a_large_pool_is_done_in_blocks_that_join() -> None:
    # More scores than fit in one block: rank r, counted from 0, is the best of k with probability
    # C(r, k - 1) / C(n, k), and only rank 700 of them is worth anything.
    n, rank = 1200, 700
    assert n * n > 4 * BLOCK
    values = np.zeros(n)
    values[rank] = 1.0
    curve = best_of_k(np.arange(n, dtype=np.float64), values)
    for k in (1, 2, 217, 218, 219, 437, 600, 701, 702, n):
        exact = math.comb(rank, k - 1) / math.comb(n, k)
        assert curve[k - 1] == pytest.approx(exact, rel=1e-9, abs=1e-15)


@given(st.lists(candidate, min_size=1, max_size=7))
def test_the_mean_of_choices_over_all_subsets_is_the_curve(
    pool: list[tuple[float, float]],
) -> None:
    scores, values = map(np.array, zip(*pool, strict=True))
    curve = best_of_k(scores, values)
    for k in range(1, len(pool) + 1):
        subsets = np.array(list(combinations(range(len(pool)), k)))
        assert best_choices(scores, values, subsets).mean() == pytest.approx(curve[k - 1])
