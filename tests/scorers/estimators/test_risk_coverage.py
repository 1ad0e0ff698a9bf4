"""Abstention: curves by hand and by brute force, bounds, and a guarantee that holds."""

from __future__ import annotations

import math
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.errors import InputError
from nbest.scorers.estimators.risk_coverage import (
    RiskPoint,
    answers_needed,
    aurc,
    auroc,
    auroc_bounds,
    auroc_interval,
    clopper_pearson_upper,
    fitted_threshold,
    risk_coverage,
)

ANSWERED = st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.5, 0.9]), st.booleans()), max_size=6)


def test_the_curve_by_hand() -> None:
    points = risk_coverage([0.9, 0.5, 0.5, 0.2], [True, True, False, False])
    assert points == [
        RiskPoint(threshold=0.9, coverage=0.25, risk=0.0),
        RiskPoint(threshold=0.5, coverage=0.75, risk=pytest.approx(1 / 3)),
        RiskPoint(threshold=0.2, coverage=1.0, risk=0.5),
    ]


def test_questions_without_an_answer_cost_coverage() -> None:
    points = risk_coverage([0.9], [True], n_queries=4)
    assert points == [RiskPoint(threshold=0.9, coverage=0.25, risk=0.0)]
    assert risk_coverage([], []) == []


@given(ANSWERED)
def test_a_point_is_what_answering_at_its_threshold_gives(pairs: list[tuple[float, bool]]) -> None:
    confidence, right = [c for c, _ in pairs], [r for _, r in pairs]
    points = risk_coverage(confidence, right)
    assert [p.threshold for p in points] == sorted(set(confidence), reverse=True)
    for point in points:
        answered = [r for c, r in pairs if c >= point.threshold]
        assert point.coverage == len(answered) / len(pairs)
        assert point.risk == pytest.approx(answered.count(False) / len(answered))


@given(ANSWERED.filter(bool))
def test_the_area_is_the_mean_over_all_orders_of_ties(pairs: list[tuple[float, bool]]) -> None:
    areas = []
    for order in permutations(pairs):
        if [c for c, _ in order] == sorted((c for c, _ in order), reverse=True):
            wrong = np.cumsum([not r for _, r in order])
            areas.append(np.mean(wrong / np.arange(1, len(order) + 1)))
    area = aurc([c for c, _ in pairs], [r for _, r in pairs])
    assert area == pytest.approx(np.mean(areas))


@given(ANSWERED)
def test_auroc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[float, bool]]) -> None:
    good, bad = [c for c, r in pairs if r], [c for c, r in pairs if not r]
    wins = [1.0 if g > b else 0.5 if g == b else 0.0 for g in good for b in bad]
    share = auroc([c for c, _ in pairs], [r for _, r in pairs])
    assert math.isnan(share) if not wins else share == pytest.approx(np.mean(wins))


@pytest.mark.parametrize("digits", [0, 1, 2, 9])
@pytest.mark.parametrize("n", [3, 50, 1319])
def test_auroc_is_the_mann_whitney_statistic_of_scipy(n: int, digits: int) -> None:
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(n + digits)
    confidence, right = rng.random(n).round(digits), rng.random(n) < 0.6
    right[:2] = (True, False)
    # The p-value is not used; of the ways to compute it this one has no limit on ties and n.
    u = mannwhitneyu(confidence[right], confidence[~right], method="asymptotic").statistic
    pairs = int(right.sum()) * int((~right).sum())
    assert auroc(confidence.tolist(), right.tolist()) == pytest.approx(u / pairs, abs=1e-12)


def test_no_questions_have_no_area() -> None:
    assert math.isnan(aurc([], []))


@pytest.mark.parametrize(("errors", "n"), [(0, 10), (1, 10), (5, 40), (39, 40)])
@pytest.mark.parametrize("delta", [0.05, 0.1])
def test_the_bound_is_the_rate_at_which_so_few_errors_have_probability_delta(
    errors: int, n: int, delta: float
) -> None:
    p = clopper_pearson_upper(errors, n, delta)
    tail = math.fsum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(errors + 1))
    assert tail == pytest.approx(delta, rel=1e-9)


@pytest.mark.parametrize("delta", [0.025, 0.1, 0.5])
@pytest.mark.parametrize("n", [1, 2, 10, 400, 4000])
def test_the_bound_is_that_of_scipy(n: int, delta: float) -> None:
    from scipy.stats import binomtest

    for errors in {0, 1, n // 10, n // 2, n - 1, n}:
        test = binomtest(errors, n, alternative="less")
        theirs = test.proportion_ci(1 - delta, method="exact").high
        assert clopper_pearson_upper(errors, n, delta) == pytest.approx(theirs, abs=1e-12)


def test_all_wrong_or_nothing_seen_bounds_nothing() -> None:
    assert clopper_pearson_upper(0, 0, 0.1) == clopper_pearson_upper(7, 7, 0.1) == 1.0


def test_the_least_number_of_answers_is_just_enough() -> None:
    count = answers_needed(0.05, 0.1)
    assert fitted_threshold([0.95] * (count - 1), [True] * (count - 1), max_risk=0.05) is None
    guarantee = fitted_threshold([0.95] * count, [True] * count, max_risk=0.05)
    assert guarantee is not None
    assert (guarantee.threshold, guarantee.coverage, guarantee.risk) == (0.0, 1.0, 0.0)
    assert guarantee.upper <= 0.05


def test_it_goes_down_until_the_bound_is_too_high() -> None:
    confidence = [0.95] * 200 + [0.6] * 200
    right = [True] * 200 + [False] * 200
    guarantee = fitted_threshold(confidence, right, max_risk=0.05)
    assert guarantee is not None
    assert guarantee.threshold == pytest.approx(0.61)
    assert guarantee.coverage == 0.5


@pytest.mark.parametrize("percent", range(101))
def test_the_threshold_is_the_one_that_can_be_typed_in(percent: int) -> None:
    """Just below the threshold all answers are wrong: a rounded one would let them in."""
    least = float(f"{percent / 100:.2f}")
    below = max(0.0, least - 1e-9)
    confidence, right = [1.0] * 300 + [least] * 300 + [below] * 300, [True] * 600 + [False] * 300
    guarantee = fitted_threshold(confidence, right, max_risk=0.05, starts=(1.0,))
    assert guarantee is not None
    typed = float(f"{guarantee.threshold:.2f}")
    assert typed == guarantee.threshold
    answered = [ok for value, ok in zip(confidence, right, strict=True) if value >= typed]
    assert answered.count(False) / len(answered) == pytest.approx(guarantee.risk)


def test_nothing_is_claimed_where_too_much_is_wrong() -> None:
    assert fitted_threshold([0.9] * 500, [True, False] * 250, max_risk=0.05) is None
    assert fitted_threshold([], [], max_risk=0.05) is None


def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Questions whose error rate falls with their confidence, from 0.5 to 0."""
    confidence = rng.uniform(0, 1, n).round(2)
    return confidence, rng.uniform(0, 1, n) >= 0.5 * (1 - confidence)


def true_risk(threshold: float) -> float:
    return 0.25 * (1 - threshold)


def test_the_guarantee_holds_and_the_naive_threshold_breaks_it() -> None:
    """Over many calibration sets, the risk is too high in at most a share delta of them."""
    rng = np.random.default_rng(7)
    max_risk, delta, repeats = 0.15, 0.1, 300
    broken = naive_broken = claimed = 0
    for _ in range(repeats):
        confidence, right = draw(rng, 400)
        guarantee = fitted_threshold(
            confidence.tolist(), right.tolist(), max_risk=max_risk, delta=delta
        )
        claimed += guarantee is not None
        broken += guarantee is not None and true_risk(guarantee.threshold) > max_risk
        points = risk_coverage(confidence.tolist(), right.tolist())
        naive = min((p.threshold for p in points if p.risk <= max_risk), default=1.0)
        naive_broken += true_risk(naive) > max_risk
    assert broken / repeats <= delta
    assert naive_broken / repeats > 2 * delta
    assert claimed / repeats > 0.8


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"max_risk": 0.0}, "max_risk must lie between 0 and 1, got 0.0"),
        ({"max_risk": 0.1, "delta": 1.0}, "delta must lie between 0 and 1, got 1.0"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, float], rule: str) -> None:
    with pytest.raises(InputError) as caught:
        fitted_threshold([0.9], [True], **settings)
    assert str(caught.value) == rule


def test_the_interval_of_auroc_holds_it_and_is_never_of_no_width() -> None:
    confidence, right = [0.9, 0.8, 0.7, 0.4, 0.3], [True, True, True, False, False]
    low, high = auroc_interval(confidence, right)
    assert 0.0 <= low < auroc(confidence, right) == high == 1.0
    mixed = auroc_interval([0.9, 0.2, 0.8, 0.4] * 30, [True, True, False, False] * 30)
    assert mixed.low < auroc([0.9, 0.2, 0.8, 0.4], [True, True, False, False]) < mixed.high
    assert auroc_interval([0.5] * 4, [True, True, False, False]) == pytest.approx((0.0, 1.0))
    assert auroc_interval([0.5, 0.6], [True, True]) == (0.0, 1.0)
    narrow = auroc_interval(confidence * 40, right * 40)
    assert narrow.high - narrow.low < high - low


def test_unknown_verdicts_bound_auroc_over_all_that_they_may_be() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        confidence = rng.integers(0, 6, 12) / 6
        verdicts = np.array([1.0, 1.0, 0.0, 0.0, *rng.choice([0.0, 1.0, math.nan], 8)])
        unknown = np.flatnonzero(np.isnan(verdicts))
        ways = []
        for values in product((0.0, 1.0), repeat=len(unknown)):
            verdicts_then = verdicts.copy()
            verdicts_then[unknown] = values
            right = (verdicts_then == 1.0).tolist()
            ways.append((auroc(confidence.tolist(), right), right))
        low, high = auroc_bounds(confidence.tolist(), verdicts.tolist())
        least, most = (auroc_interval(confidence.tolist(), pick(ways)[1]) for pick in (min, max))
        assert low <= least.low + 0.02  # where several are least, their intervals differ a little
        assert high >= most.high - 0.02
        assert low <= min(ways)[0] <= max(ways)[0] <= high


def test_auroc_of_templates_is_less_sure() -> None:
    rng = np.random.default_rng(5)
    confidence, right = rng.random(30), rng.random(30) < 0.6
    once = auroc_interval(confidence.tolist(), right.tolist())
    often = [values.repeat(10).tolist() for values in (confidence, right)]
    names = [q for q in range(30) for _ in range(10)]
    plain = auroc_interval(often[0], often[1])
    clustered = auroc_interval(often[0], often[1], clusters=names)
    assert plain.high - plain.low < 0.5 * (once.high - once.low)
    assert clustered.high - clustered.low > 0.9 * (once.high - once.low)
