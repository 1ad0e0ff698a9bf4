"""Two selectors on the same questions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, multinomial

from nbest.orchestrator.errors import InputError
from nbest.scorers.estimators.paired import (
    discordant,
    holm,
    mcnemar,
    paired_difference,
    paired_p_value,
)

Z95 = 1.959963984540054


SETTINGS = [(0.1, 0.2), (0.0, 0.1), (0.25, 0.25), (0.1, 0.1), (0.02, 0.12), (0.3, 0.5), (0.05, 0.4)]


@pytest.mark.parametrize("questions", [8, 32])
@pytest.mark.parametrize(("only_one", "only_other"), SETTINGS)
def test_the_interval_holds_the_truth_over_all_tables(
    only_one: float, only_other: float, questions: int
) -> None:
    """Exact: every table of questions that only one, only the other, or both get right."""
    held = 0.0
    for a in range(questions + 1):
        for b in range(questions + 1 - a):
            rest = questions - a - b
            chance = multinomial.pmf(
                [a, b, rest], questions, [only_one, only_other, 1 - only_one - only_other]
            )
            first = np.array([1.0] * a + [0.0] * b + [1.0] * rest)
            second = np.array([0.0] * a + [1.0] * b + [1.0] * rest)
            difference = paired_difference(first, second)
            assert difference.high > difference.low
            held += chance * (difference.low <= only_one - only_other <= difference.high)
    assert held >= 0.94


def test_it_is_the_interval_of_bonett_and_price_by_hand() -> None:
    first, second = np.array([1.0] * 7 + [0.0] * 3), np.array([1.0] * 4 + [0.0] * 4 + [1.0] * 2)
    # Only the first gets 3 right, only the second 2; with one more each, of 12.
    one, other = 4 / 12, 3 / 12
    half = Z95 * math.sqrt((one + other - (one - other) ** 2) / 12)
    expected = (0.1, one - other - half, one - other + half)
    assert paired_difference(first, second) == pytest.approx(expected)


def test_pairing_counts_what_differs_alone() -> None:
    easy = np.array([1.0] * 50 + [0.0] * 50)
    better = easy.copy()
    better[50:60] = 1.0
    difference = paired_difference(better, easy)
    assert difference.mean == pytest.approx(0.1)
    assert difference.low > 0  # unpaired, 0.6 against 0.5 of 100 would show nothing
    back = paired_difference(easy, better)
    assert back == pytest.approx((-difference.mean, -difference.high, -difference.low))


def test_equal_selectors_have_no_interval_of_no_width() -> None:
    same = np.array([1.0, 0.0] * 4)
    low, high = paired_difference(same, same)[1:]
    assert low == pytest.approx(-high)
    assert 0.2 < high < 0.4


def test_it_needs_no_order_and_takes_shares() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random(40).round(1), rng.random(40).round(1)
    order = rng.permutation(40)
    assert paired_difference(first, second) == pytest.approx(
        paired_difference(first[order], second[order])
    )


def test_templates_are_what_is_drawn() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.random(20), rng.random(20)
    alone = paired_difference(first, second, clusters=[str(q) for q in range(20)])
    # The same questions asked four times say no more than once.
    names = [str(q) for q in range(20) for _ in range(4)]
    fourfold = paired_difference(first.repeat(4), second.repeat(4), clusters=names)
    assert fourfold == pytest.approx(alone)
    plain = paired_difference(first.repeat(4), second.repeat(4))
    assert alone.high - alone.low > 1.7 * (plain.high - plain.low)


@pytest.mark.parametrize("clusters", [None, [f"t{q // 2}" for q in range(40)]])
def test_the_p_value_is_the_level_at_which_the_interval_touches_zero(
    clusters: list[str] | None,
) -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        first, second = (rng.random((2, 40)) < [[0.7], [0.5]]).astype(float)
        p = paired_p_value(first, second, clusters)
        if p < 0.99:
            claims = paired_difference(first, second, 1 - p * 1.001, clusters)
            assert claims.low > 0 or claims.high < 0
        if clusters is None:  # McNemar's may be the larger of the two
            assert p >= mcnemar(first, second)
        else:
            claims_not = paired_difference(first, second, 1 - p * 0.999, clusters)
            assert claims_not.low <= 0 <= claims_not.high


def test_few_questions_show_nothing() -> None:
    mean, low, high = paired_difference(np.ones(1), np.zeros(1))
    assert (mean, low < 0, high) == (1.0, True, 1.0)
    assert paired_difference(np.ones(0), np.zeros(0)) == (0.0, -1.0, 1.0)


def test_mcnemar_is_the_mid_p_of_what_differs() -> None:
    first = np.array([1.0, 1, 1, 1, 1, 0, 1, 0, np.nan])
    second = np.array([0.0, 0, 0, 0, 0, 1, 1, 0, 0])
    # 5 to 1: the exact p-value less the probability of that table.
    assert mcnemar(first, second) == pytest.approx(2 * (1 + 6) / 2**6 - 6 / 2**6)
    assert mcnemar(second, first) == mcnemar(first, second)
    assert mcnemar(first, first) == 1.0
    even = np.array([1.0, 1, 0, 0])
    assert mcnemar(even, even[::-1]) == pytest.approx(1 - 0.5 * 6 / 16)
    assert discordant(first, second) == (5, 1)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.4])
@pytest.mark.parametrize("questions", [8, 32, 100])
def test_mcnemar_claims_no_difference_that_is_none(share: float, questions: int) -> None:
    claimed = 0.0
    for differ in range(questions + 1):
        chance = binom.pmf(differ, questions, 2 * share)
        for only in range(differ + 1):
            first = np.array([1.0] * only + [0.0] * (differ - only))
            if mcnemar(first, 1 - first) <= 0.05:
                claimed += chance * binom.pmf(only, differ, 0.5)
    assert claimed <= 0.052


def test_holm_by_hand_and_for_the_family() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    p_values = np.random.default_rng(0).random((2000, 7))
    assert np.mean([min(holm(row)) <= 0.05 for row in p_values.tolist()]) < 0.065


def test_they_must_be_the_same_questions() -> None:
    with pytest.raises(InputError, match=r"second must have shape \(2,\), got \(3,\)"):
        paired_difference(np.zeros(2), np.zeros(3))
    with pytest.raises(InputError, match=r"second must have shape \(2,\), got \(3,\)"):
        mcnemar(np.zeros(2), np.zeros(3))
    with pytest.raises(InputError, match=r"confidence must lie in \(0, 1\), got 1"):
        paired_difference(np.zeros(2), np.zeros(2), confidence=1)
