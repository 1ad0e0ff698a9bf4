"""Estimators against brute force, published numbers and simulation."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, sem, t

from nbest import clustered_interval, pass_at_k, wilson_interval
from nbest.orchestrator.errors import InputError
from nbest.scorers.estimators.intervals import clustered_mean

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
    assert clustered_interval([0.5]) == (0.0, 1.0)  # with two more, nearly anything


def test_clustered_by_hand() -> None:
    # 50 at 0, 50 at 1, and one more of each: Student's interval of 102.
    half = t.ppf(0.975, 101) * math.sqrt(0.25 * 102 / 101 / 102)
    assert clustered_interval([0.0, 1.0] * 50) == pytest.approx((0.5 - half, 0.5 + half))


def test_clustered_is_student_s_interval_of_two_more_questions() -> None:
    means = np.random.default_rng(0).random(40)
    whole = np.append(means, [0.0, 1.0])
    theirs = t.interval(0.9, 41, loc=whole.mean(), scale=sem(whole))
    assert clustered_interval(means, 0.9) == pytest.approx(theirs)


def test_clusters_of_equal_size_are_their_means() -> None:
    means = np.random.default_rng(1).random((12, 5))
    names = [f"template {q}" for q in range(12) for _ in range(5)]
    together = clustered_interval(means.ravel(), clusters=names)
    assert together == pytest.approx(clustered_interval(means.mean(axis=1)))
    one_each = [str(i) for i in range(60)]
    assert clustered_interval(means.ravel(), clusters=one_each) == pytest.approx(
        clustered_interval(means.ravel())
    )
    order = np.random.default_rng(2).permutation(60)
    shuffled = clustered_interval(means.ravel()[order], clusters=[names[i] for i in order])
    assert shuffled == pytest.approx(together)


def test_questions_of_one_template_count_as_one() -> None:
    """The same 20 templates, ten questions each that share their difficulty."""
    rng = np.random.default_rng(3)
    names = [q for q in range(20) for _ in range(10)]
    held, naive = 0, 0
    for _ in range(400):
        means = rng.binomial(16, np.repeat(rng.beta(4, 4, 20), 10)) / 16
        low, high = clustered_interval(means, clusters=names)
        held += low <= 0.5 <= high
        low, high = clustered_interval(means)
        naive += low <= 0.5 <= high
    assert held >= 0.93 * 400
    assert naive < 0.7 * 400


@pytest.mark.parametrize("questions", [8, 32, 200])
def test_of_right_and_wrong_it_holds_every_share_exactly(questions: int) -> None:
    counts = range(questions + 1)
    ends = [clustered_interval([1.0] * k + [0.0] * (questions - k)) for k in counts]
    assert all(high > low for low, high in ends)
    for p in np.arange(1, 100) / 100:
        chances = binom.pmf(counts, questions, p)
        held = sum(c for c, (low, high) in zip(chances, ends, strict=True) if low <= p <= high)
        assert held >= 0.93, p


@pytest.mark.parametrize("questions", [8, 32, 200])
@pytest.mark.parametrize(("a", "b"), [(8, 2), (1, 9), (0.5, 24.5), (4, 4), (0.3, 0.3)])
def test_clustered_covers_the_truth(a: float, b: float, questions: int) -> None:
    rng = np.random.default_rng(1)
    for n in (4, 64):
        means = rng.binomial(n, rng.beta(a, b, (500, questions))) / n
        intervals = [clustered_interval(study) for study in means]
        held = np.mean([low <= a / (a + b) <= high for low, high in intervals])
        assert held >= 0.92  # 0.93 less the error of 500 studies


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


@pytest.mark.parametrize("sizes", [[4] * 6, [1, 2, 5, 20], [7, 1], [30, 1, 1, 1]])
def test_the_error_of_clusters_is_that_of_bell_and_mccaffrey(sizes: list[int]) -> None:
    """Their estimate written out with matrices, for a regression on a constant alone."""
    rng = np.random.default_rng(len(sizes))
    names = np.repeat(np.arange(len(sizes)), sizes)
    values, total = rng.random(len(names)), len(names)
    residuals = np.eye(total) - 1 / total  # what makes residuals of values
    sums = []  # [G, Q] what the estimate squares and adds up, as a function of the values
    for g in range(len(sizes)):
        own = names == g
        block = residuals[np.ix_(own, own)]
        powers, vectors = np.linalg.eigh(block)
        root = vectors @ np.diag(powers**-0.5) @ vectors.T
        sums.append(np.ones(own.sum()) @ root @ residuals[own] / total)
    forms = np.array(sums)
    matrix = forms @ forms.T  # its eigenvalues are those of the quadratic form
    mean = clustered_mean(values, names.tolist())
    assert mean.mean == pytest.approx(values.mean())
    assert mean.error == pytest.approx(math.sqrt(float(((forms @ values) ** 2).sum())))
    assert mean.degrees == pytest.approx(np.trace(matrix) ** 2 / (matrix**2).sum())


def test_one_large_template_tells_little() -> None:
    means, names = [0.5] * 100 + [0.4, 0.6] * 15, [0] * 100 + list(range(1, 31))
    large = clustered_interval(means, clusters=names)
    even = clustered_interval(means, clusters=[q % 31 for q in range(130)])
    assert large.high - large.low > 2 * (even.high - even.low)
