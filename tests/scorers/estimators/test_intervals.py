"""Estimators against brute force, published numbers and simulation."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import clustered_interval, pass_at_k, wilson_interval
from nbest.orchestrator.errors import InputError

Z95 = 1.959963984540054


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_meets_published_values(successes: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (3, 8), (16, 32), (199, 200)])
def test_wilson_is_the_set_of_shares_that_a_score_test_accepts(successes: int, n: int) -> None:
    p = np.linspace(0, 1, 200_001)
    accepted = p[np.abs(successes / n - p) <= Z95 * np.sqrt(p * (1 - p) / n) + 1e-12]
    assert wilson_interval(successes, n) == pytest.approx((accepted[0], accepted[-1]), abs=1e-5)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("n", [1, 2, 7, 100, 1319, 10**6])
def test_wilson_is_that_of_scipy(n: int, confidence: float) -> None:
    from scipy.stats import binomtest

    for successes in {0, 1, n // 3, n // 2, n - 1, n}:
        theirs = binomtest(successes, n).proportion_ci(confidence, method="wilson")
        ours = wilson_interval(successes, n, confidence)
        assert ours == pytest.approx((theirs.low, theirs.high), rel=0, abs=1e-12)


@given(st.integers(1, 500), st.data())
def test_wilson_relations(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    low, high = wilson_interval(successes, n)
    assert 0.0 <= low <= successes / n <= high <= 1.0
    mirrored = wilson_interval(n - successes, n)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((low, high))
    wider = wilson_interval(successes, n, confidence=0.99)
    assert wider.low <= low
    assert high <= wider.high
    more = wilson_interval(10 * successes, 10 * n)
    assert more.high - more.low < high - low


def test_without_outcomes_anything_is_possible() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert clustered_interval([]) == (0.0, 1.0)
    assert clustered_interval([0.5]) == (0.0, 1.0)


def test_clustered_by_hand() -> None:
    # Mean 1/2; the standard deviation with Q - 1 is sqrt(50 / 99).
    half = Z95 * math.sqrt(0.25 * 100 / 99) / 10
    assert clustered_interval([0.0, 1.0] * 50) == pytest.approx((0.5 - half, 0.5 + half))


def test_clustered_is_the_clustered_standard_error_of_the_samples() -> None:
    scores = np.random.default_rng(0).random((40, 8)) < 0.6  # [Q, N]
    centred = scores - scores.mean()
    # All pairs of samples within a question, over the square of the number of samples.
    variance = np.einsum("qi,qj->", centred, centred) / scores.size**2
    low, high = clustered_interval(scores.mean(axis=1))
    assert (high - low) / (2 * Z95) == pytest.approx(math.sqrt(variance * 40 / 39))


def test_clustered_covers_the_truth() -> None:
    rng = np.random.default_rng(1)
    means = rng.binomial(16, rng.beta(1, 1, (2000, 60))) / 16  # 2000 studies of 60 questions
    intervals = [clustered_interval(study) for study in means]
    covered = np.mean([low <= 0.5 <= high for low, high in intervals])
    assert 0.93 < covered < 0.97


@given(st.lists(st.floats(0, 1), max_size=30))
def test_clustered_holds_the_mean_and_stays_inside(means: list[float]) -> None:
    low, high = clustered_interval(means)
    mean = np.mean(means) if means else 0.5
    assert 0.0 <= low <= mean + 1e-12
    assert mean - 1e-12 <= high <= 1.0
    assert clustered_interval(means[::-1]) == pytest.approx((low, high))


@pytest.mark.parametrize("n", range(1, 8))
def test_pass_at_k_is_the_share_of_subsets_with_a_hit(n: int) -> None:
    for c in range(n + 1):
        for k in range(1, n + 1):
            subsets = list(combinations([i < c for i in range(n)], k))
            assert pass_at_k(n, c, k) == sum(map(any, subsets)) / len(subsets)


@given(st.integers(1, 300), st.data())
def test_pass_at_k_relations(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    assert pass_at_k(n, c, 1) == c / n
    assert pass_at_k(n, c, n) == (c > 0)
    if k < n:
        assert pass_at_k(n, c, k) <= pass_at_k(n, c, k + 1)
    if c < n:
        assert pass_at_k(n, c, k) <= pass_at_k(n, c + 1, k)


def test_pass_at_k_with_ten_thousand_samples() -> None:
    assert pass_at_k(10_000, 1, 5_000) == 0.5
    assert pass_at_k(10_000, 1, 7) == 7 / 10_000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pass_at_k(4, 5, 1), r"^c must lie in 0\.\.4, got 5$"),
        (lambda: pass_at_k(4, -1, 1), r"^c must lie in 0\.\.4, got -1$"),
        (lambda: pass_at_k(4, 2, 5), r"^k must lie in 1\.\.4, got 5$"),
        (lambda: pass_at_k(4, 2, 0), r"^k must lie in 1\.\.4, got 0$"),
        (lambda: wilson_interval(5, 4), r"^successes must lie in 0\.\.4, got 5$"),
        (lambda: wilson_interval(1, 4, 1.0), r"^confidence must lie in \(0, 1\), got 1\.0$"),
        (lambda: clustered_interval([0.5, 1.5]), r"^means must lie in \[0, 1\], got \[1\.5\]$"),
        (lambda: clustered_interval([math.nan]), r"^means must lie in \[0, 1\], got \[nan\]$"),
    ],
)
def test_what_is_refused(call, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        call()
