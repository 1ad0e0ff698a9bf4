"""Coverage beyond what was drawn, against simulations whose truth is known."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from nbest.orchestrator.errors import InputError
from nbest.scorers.estimators.coverage import (
    BetaBinomial,
    extrapolate,
    fit_beta_binomial,
    fit_power_law,
)
from nbest.scorers.estimators.pass_at_k import all_at_k, pass_at_k


def simulated(alpha: float, beta: float, questions: int, n: int, seed: int) -> tuple[object, ...]:
    rng = np.random.default_rng(seed)
    right = rng.binomial(n, rng.beta(alpha, beta, questions))
    return right, np.full(questions, n)


def test_all_at_k_is_the_share_of_subsets_that_are_all_right() -> None:
    for n, c, k in ((5, 3, 2), (6, 6, 4), (6, 2, 3), (4, 0, 1)):
        samples = [1] * c + [0] * (n - c)
        subsets = list(combinations(samples, k))
        assert all_at_k(n, c, k) == sum(all(s) for s in subsets) / len(subsets)
    with pytest.raises(InputError, match=r"k must lie in 1..4, got 5"):
        all_at_k(4, 1, 5)


def test_coverage_is_the_mean_over_the_distribution() -> None:
    rng = np.random.default_rng(0)
    model = BetaBinomial(alpha=0.4, beta=3.0)
    chances = rng.beta(0.4, 3.0, 400_000)
    for k in (1, 10, 1000):
        assert model.coverage(k) == pytest.approx(float(np.mean(1 - (1 - chances) ** k)), abs=4e-3)
    assert model.coverage(1) == pytest.approx(0.4 / 3.4)


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 2.0), (0.5, 0.5), (1.5, 6.0)])
def test_from_100_samples_to_10000(alpha: float, beta: float) -> None:
    truth = BetaBinomial(alpha=alpha, beta=beta).coverage(10_000)
    right, drawn = simulated(alpha, beta, 300, 100, seed=1)
    fit = fit_beta_binomial(right, drawn)  # type: ignore[arg-type]
    assert fit.coverage(10_000) == pytest.approx(truth, abs=0.05)
    assert fit.alpha == pytest.approx(alpha, rel=0.35)


def test_inside_what_was_drawn_it_agrees_with_the_exact_estimate() -> None:
    right, drawn = simulated(0.6, 2.0, 400, 64, seed=3)
    exact = np.mean([pass_at_k(64, int(c), 16) for c in right])  # type: ignore[attr-defined]
    fitted = fit_beta_binomial(right, drawn).coverage(16)  # type: ignore[arg-type]
    assert fitted == pytest.approx(float(exact), abs=0.01)


def test_the_interval_holds_the_truth_mostly() -> None:
    truth = BetaBinomial(alpha=0.5, beta=2.0).coverage(2000)
    held = 0
    for seed in range(3):
        right, drawn = simulated(0.5, 2.0, 60, 50, seed)
        inside, beyond = extrapolate(right, drawn, [50, 2000])  # type: ignore[arg-type]
        held += beyond.low <= truth <= beyond.high
        assert beyond.low <= beyond.coverage <= beyond.high
        assert inside.coverage < beyond.coverage
        assert [beyond] == extrapolate(right, drawn, [2000])  # type: ignore[arg-type]
    assert held >= 2


@pytest.mark.parametrize("k", [64, 1600])
def test_the_range_holds_the_truth_where_some_questions_can_never_be_solved(k: int) -> None:
    """Three in ten of 200 questions: one law alone is far off, and sure of it."""
    truth = 0.7 * BetaBinomial(alpha=1.0, beta=3.0).coverage(k)
    rng = np.random.default_rng(4)
    held, drawn = 0, np.full(200, 16)
    for _ in range(8):
        chances = rng.beta(1.0, 3.0, 200) * (rng.random(200) >= 0.3)
        (point,) = extrapolate(rng.binomial(16, chances), drawn, [k])
        held += point.low <= truth <= point.high
    assert held >= 7


@pytest.mark.parametrize(
    ("right", "k", "message"),
    [
        ([16] * 20, 100, "have 10 questions or more with right and wrong samples, got 0"),
        ([0] * 20, 100, "have 10 questions or more with right and wrong samples, got 0"),
        ([1, 3], 100, "have 10 questions or more with right and wrong samples, got 2"),
        ([4] * 20, 1601, "be at most 1,600, 100 times the samples, got 1601"),
    ],
)
def test_what_no_data_support_is_refused(right: list[int], k: int, message: str) -> None:
    with pytest.raises(InputError, match=f"beyond must {message}"):
        extrapolate(np.array(right), np.full(len(right), 16), [k])


def test_nothing_right_is_never_covered_and_all_right_always() -> None:
    drawn = np.full(5, 10)
    assert fit_beta_binomial(np.zeros(5, np.int64), drawn).coverage(10**6) == 0.0
    assert fit_beta_binomial(drawn, drawn).coverage(1) == pytest.approx(1.0, abs=1e-3)
    one = fit_beta_binomial(np.array([3]), np.array([10])).coverage(1)
    assert one == pytest.approx(0.3, abs=0.05)


def test_the_power_law_is_found_again() -> None:
    ks = np.array([1, 4, 16, 64, 256])
    curve = np.exp(-1.8 * ks**-0.35)
    law = fit_power_law(ks, curve)
    assert (law.a, law.b) == (pytest.approx(1.8), pytest.approx(0.35))
    assert law.coverage(10_000) == pytest.approx(math.exp(-1.8 * 10_000**-0.35))
    with pytest.raises(InputError, match=r"coverage must lie inside \(0, 1\) at 2 points"):
        fit_power_law(np.array([1, 2]), np.array([0.0, 0.5]))


def test_counts_that_make_no_sense() -> None:
    with pytest.raises(InputError, match=r"right must lie in 0\.\.drawn"):
        fit_beta_binomial(np.array([3]), np.array([2]))
    with pytest.raises(InputError, match=r"drawn must have shape \(2,\), got \(1,\)"):
        fit_beta_binomial(np.array([1, 1]), np.array([2]))
    with pytest.raises(InputError, match="right must hold a question, got 0"):
        fit_beta_binomial(np.array([], np.int64), np.array([], np.int64))
    with pytest.raises(InputError, match="k must be at least 1, got 0"):
        BetaBinomial(alpha=1.0, beta=1.0).coverage(0)
