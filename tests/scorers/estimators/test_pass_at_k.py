"""Any right among the turns of a panel, against all stratified subsets, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.errors import InputError
from nbest.scorers.estimators.pass_at_k import all_at_k, any_at_turns, g_pass_at_k, pass_at_k

TURNS = st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), min_size=1, max_size=7)


def subsets(arms: Sequence[str], k: int) -> Iterator[tuple[int, ...]]:
    """Every set of samples that may stand at the first k turns: each arm's are any of its own."""
    choices = []
    for arm in dict.fromkeys(arms):
        places = [place for place, name in enumerate(arms) if name == arm]
        choices.append(list(combinations(places, list(arms[:k]).count(arm))))
    for parts in product(*choices):
        yield tuple(place for part in parts for place in part)


@given(TURNS)
def test_it_is_the_mean_over_all_subsets_that_keep_arms_apart(
    turns: list[tuple[str, bool]],
) -> None:
    arms = [arm for arm, _ in turns]
    values = np.array([float(is_right) for _, is_right in turns])
    curve = any_at_turns(values, arms)
    for k in range(1, len(turns) + 1):
        hits = [max(values[place] for place in places) for places in subsets(arms, k)]
        assert curve[k - 1] == pytest.approx(np.mean(hits))


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_one_arm_is_pass_at_k(rights: list[bool]) -> None:
    values = np.array(rights, np.float64)
    curve = any_at_turns(values, ["only"] * len(values))
    expected = [pass_at_k(len(values), sum(rights), k) for k in range(1, len(values) + 1)]
    assert curve == pytest.approx(expected)


def test_an_arm_is_named_for_each_sample() -> None:
    with pytest.raises(InputError, match="arms must name an arm for each of the 2 samples"):
        any_at_turns(np.zeros(2), ["a"])


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.sampled_from([0.25, 0.5, 0.7, 1.0]))
def test_g_pass_is_the_share_of_subsets_with_enough_right_ones(
    right: list[bool], share: float
) -> None:
    for k in range(1, len(right) + 1):
        subsets_of_k = list(combinations(right, k))
        enough = [sum(one) >= share * k - 1e-9 for one in subsets_of_k]
        assert g_pass_at_k(len(right), sum(right), k, share) == pytest.approx(np.mean(enough))


def test_g_pass_lies_between_pass_hat_k_and_pass_at_k() -> None:
    assert g_pass_at_k(16, 12, 4, 1.0) == all_at_k(16, 12, 4)
    assert g_pass_at_k(16, 12, 4, 0.01) == pass_at_k(16, 12, 4)
    assert g_pass_at_k(10, 7, 10, 0.7) == 1.0  # 0.7 * 10 is not 7 in floating point
    with pytest.raises(InputError, match=r"share must lie in \(0, 1\], got 0"):
        g_pass_at_k(4, 2, 2, 0.0)
