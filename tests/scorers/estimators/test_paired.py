"""Two selectors on the same questions."""

from __future__ import annotations

import numpy as np
import pytest

from nbest.orchestrator.errors import InputError
from nbest.scorers.estimators.paired import mcnemar, paired_difference


def test_the_interval_holds_the_true_gain_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for seed in range(300):
        first, second = (rng.random(80) < 0.6).astype(float), (rng.random(80) < 0.5).astype(float)
        difference = paired_difference(first, second, seed=seed)
        held += difference.low <= 0.1 <= difference.high
    assert 270 <= held <= 297


def test_pairing_counts_what_differs_alone() -> None:
    easy = np.array([1.0] * 50 + [0.0] * 50)
    better = easy.copy()
    better[50:55] = 1.0
    difference = paired_difference(better, easy)
    assert difference.mean == pytest.approx(0.05)
    assert difference.low > 0  # unpaired, 0.55 against 0.50 of 100 would show nothing
    back = paired_difference(easy, better)
    assert (back.mean, back.high) == (-difference.mean, pytest.approx(-difference.low, abs=0.011))


def test_it_repeats_to_the_digit_and_needs_no_order() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random(40).round(1), rng.random(40).round(1)
    order = rng.permutation(40)
    one = paired_difference(first, second)
    assert one == paired_difference(first, second)
    two = paired_difference(first[order], second[order])
    assert one[1:] == pytest.approx(two[1:])


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_but_for_chance_the_interval_is_that_of_scipy(confidence: float) -> None:
    from scipy.stats import bootstrap

    rng = np.random.default_rng(2)
    first, second = rng.random(50), rng.random(50)
    difference = paired_difference(first, second, confidence)
    theirs = bootstrap(
        (first - second,),
        np.mean,
        n_resamples=10_000,
        confidence_level=confidence,
        method="percentile",
        rng=rng,
    )
    spread = float(theirs.standard_error)
    ends = tuple(theirs.confidence_interval)
    # The standard error of an end is below 0.03 of the spread with 10,000 replicates.
    assert difference[1:] == pytest.approx(ends, rel=0, abs=0.15 * spread)


def test_few_questions_show_nothing() -> None:
    assert paired_difference(np.ones(1), np.zeros(1)) == (1.0, -1.0, 1.0)
    assert paired_difference(np.ones(0), np.zeros(0)) == (0.0, -1.0, 1.0)


def test_mcnemar_is_the_binomial_of_what_differs() -> None:
    first = np.array([1.0, 1, 1, 1, 1, 0, 1, 0, np.nan])
    second = np.array([0.0, 0, 0, 0, 0, 1, 1, 0, 0])
    assert mcnemar(first, second) == pytest.approx(2 * (1 + 6) / 2**6)
    assert mcnemar(second, first) == mcnemar(first, second)
    assert mcnemar(first, first) == 1.0


def test_they_must_be_the_same_questions() -> None:
    with pytest.raises(InputError, match=r"second must have shape \(2,\), got \(3,\)"):
        paired_difference(np.zeros(2), np.zeros(3))
    with pytest.raises(InputError, match=r"second must have shape \(2,\), got \(3,\)"):
        mcnemar(np.zeros(2), np.zeros(3))
    with pytest.raises(InputError, match=r"confidence must lie in \(0, 1\), got 1"):
        paired_difference(np.zeros(2), np.zeros(2), confidence=1)
