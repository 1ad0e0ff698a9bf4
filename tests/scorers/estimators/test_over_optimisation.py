"""The watch finds the peak of a scorer that is fooled, and is silent about one that is not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators import over_optimisation
from nbest.scorers.estimators.best_of_k import best_of_k
from nbest.scorers.estimators.over_optimisation import (
    TOGETHER,
    best_of_n_kl,
    fitted_peak,
    grid,
    judged_together,
    watch,
)

P_RIGHT, P_FOOLS = 0.04, 0.00072  # per sample: right; wrong, and ranked above all others


PEAK = 99  # ln(b / a) / (b - a), with a = -ln(1 - P_FOOLS) and b = -ln(1 - P_FOOLS - P_RIGHT)


def fooled(questions: int, n: int, seed: int, fools: float = P_FOOLS) -> tuple[Scores, Scores]:
    """Exact curves [Q, N] of accuracy and of vote share, from pools that were drawn."""
    rng = np.random.default_rng(seed)
    accuracy, share = np.empty((questions, n)), np.empty((questions, n))
    for q in range(questions):
        coin = rng.random(n)
        is_fooling, is_right = coin < fools, coin > 1 - P_RIGHT
        scores = rng.random(n) + 10 * is_right + 20 * is_fooling
        votes = np.where(is_right, is_right.mean(), 1 / n)  # every wrong answer is its own
        accuracy[q] = best_of_k(scores, is_right.astype(float))
        share[q] = best_of_k(scores, votes)
    return accuracy, share


def true_accuracy(k: Scores) -> Scores:
    """Right is drawn, and nothing that fools."""
    curve: Scores = (1 - P_FOOLS) ** k - (1 - P_FOOLS - P_RIGHT) ** k
    return curve


@pytest.fixture(scope="module")
def simulated() -> tuple[Scores, Scores]:
    return fooled(questions=200, n=500, seed=1)


def test_the_true_peak_is_where_the_formula_has_it() -> None:
    k = np.arange(1.0, 5001.0)
    assert abs(int(np.argmax(true_accuracy(k))) + 1 - PEAK) <= 1


def test_the_peak_is_found_within_its_interval(simulated: tuple[Scores, Scores]) -> None:
    verdict = watch(simulated[0])
    assert verdict.is_worse
    assert verdict.low_k <= PEAK <= verdict.high_k
    assert verdict.high_k < 500
    assert verdict.use_k == verdict.peak_k
    assert verdict.at_peak == pytest.approx(0.914, abs=0.05)
    assert "OVER-OPTIMISED" in verdict.sentence()
    assert f"Use k={verdict.peak_k}" in verdict.sentence()


def test_without_labels_the_turn_comes_before_the_peak_or_with_it(
    simulated: tuple[Scores, Scores],
) -> None:
    labelled = watch(simulated[0])
    share = watch(simulated[1], reach=float(simulated[1].max()))
    assert share.is_worse
    assert share.peak_k <= labelled.high_k
    assert "it knows better than the vote, or is fooled" in share.share_sentence()


def test_a_perfect_scorer_is_not_accused_without_labels() -> None:
    """Right answers are rare, so what it chooses has few votes: its share falls."""
    rng = np.random.default_rng(5)
    accuracy, share = np.empty((60, 32)), np.empty((60, 32))
    for q in range(60):
        is_right = rng.random(32) < rng.beta(1, 9)
        votes = np.where(is_right, is_right.mean(), 1 - is_right.mean())  # one wrong answer
        accuracy[q] = best_of_k(is_right.astype(float), is_right.astype(float))
        share[q] = best_of_k(is_right.astype(float), votes)
    assert not watch(accuracy).is_worse
    verdict = watch(share)
    assert verdict.is_worse  # it does fall
    for word in ("OVER", "worse", "Use k", "harm", "mistake"):
        assert word not in verdict.share_sentence()


def test_noise_raises_the_alarm_in_one_of_forty_cases_at_most() -> None:
    """Curves that are flat but for noise: any alarm is a false one."""
    rng = np.random.default_rng(7)
    alarms = 0
    for seed in range(200):
        right = (rng.random((60, 32)) < 0.4).astype(float)
        curves = np.array([best_of_k(rng.random(32), row) for row in right])
        alarms += watch(curves, seed=seed).is_worse
    assert alarms <= 10  # 5 are expected at the most; 11 or more has probability 0.01


@pytest.mark.parametrize(("a", "b"), [(2, 18), (0.5, 24.5)])
@pytest.mark.parametrize("questions", [10, 32])
def test_rare_right_answers_raise_no_alarm(a: float, b: float, questions: int) -> None:
    """Useless scorers on hard questions: their losses are skewed, a plain test is far too sure."""
    rng = np.random.default_rng(8)
    alarms = 0
    for seed in range(60):
        chances = rng.beta(a, b, (questions, 1))
        right = (rng.random((questions, 16)) < chances).astype(float)
        curves = np.array([best_of_k(rng.random(16), row) for row in right])
        alarms += watch(curves, seed=seed).is_worse
    assert alarms <= 4


def test_scorers_of_one_report_are_judged_together() -> None:
    curves = np.tile(np.concatenate([np.full(16, 0.6), np.linspace(0.6, 0.4, 16)]), (40, 1))
    noise = np.random.default_rng(1).normal(0, 0.35, (40, 1)) * np.linspace(0, 1, 32)
    alone = watch((curves + noise).clip(0, 1))
    assert alone.is_worse
    assert alone.p_value > TOGETHER / 20
    (same,) = judged_together([alone])
    assert same == alone
    assert not any(w.is_worse for w in judged_together([alone] + [watch(np.ones((40, 32)))] * 20))


def test_where_a_curve_saturates_any_k_may_be_its_peak() -> None:
    """The truth rises to the end by less than can be seen: the interval reaches the end."""
    rng = np.random.default_rng(2)
    for _ in range(10):
        right = rng.random((30, 32)) < rng.beta(4, 4, (30, 1))
        scores = right + 0.3 * rng.random((30, 32))
        pairs = zip(scores, right.astype(float), strict=True)
        curves = np.array([best_of_k(*pair) for pair in pairs])
        verdict = watch(curves)
        assert verdict.high_k == 32
        assert verdict.low_k < 32


def test_a_scorer_that_knows_raises_no_alarm() -> None:
    rng = np.random.default_rng(3)
    right = (rng.random((80, 64)) < 0.2).astype(float)
    curves = np.array([best_of_k(row + rng.random(64), row) for row in right])
    verdict = watch(curves)
    assert not verdict.is_worse
    assert verdict.use_k == 64
    assert "no over-optimisation is seen up to k=64" in verdict.sentence()


def test_too_few_questions_are_no_evidence() -> None:
    curves = np.tile(np.linspace(1, 0, 8), (4, 1))
    verdict = watch(curves)
    assert not verdict.is_worse
    assert verdict.peak_k == 1
    assert verdict.loss == 1.0


def test_the_fit_of_gao_finds_the_peak_of_a_curve_of_that_form() -> None:
    k = np.arange(1.0, 401.0)
    d = np.sqrt(best_of_n_kl(k))
    curve = 0.3 + d * (1.0 - 0.35 * d)
    assert fitted_peak(curve) == pytest.approx(float(k[np.argmax(curve)]), rel=0.05)
    assert fitted_peak(0.3 + d) == math.inf
    assert fitted_peak(0.3 - d) == math.inf


def test_divergences_are_those_of_the_table() -> None:
    assert best_of_n_kl(np.array([1.0, 4.0, 16.0, 100.0, 400.0])) == pytest.approx(
        [0.0, 0.64, 1.84, 3.62, 4.99], abs=0.006
    )


def test_the_grid_is_whole_where_it_is_small() -> None:
    assert grid(5).tolist() == [1, 2, 3, 4, 5]
    many = grid(10_000)
    assert (many[0], many[-1]) == (1, 10_000)
    assert len(many) <= 200
    assert (np.diff(many) > 0).all()


def test_curves_must_be_a_table() -> None:
    with pytest.raises(InputError, match=r"curves must have shape \[Q, K\], got \(3,\)"):
        watch(np.zeros(3))


def test_templates_are_what_the_watch_counts() -> None:
    alarms = {"plain": 0, "clustered": 0}
    names = [t for t in range(20) for _ in range(10)]
    for seed in range(100):
        rng = np.random.default_rng(seed)
        right = rng.random((20, 16)) < rng.beta(4, 4, (20, 1))
        curves = np.array([best_of_k(rng.random(16), row.astype(float)) for row in right])
        alarms["plain"] += watch(curves.repeat(10, axis=0)).is_worse
        alarms["clustered"] += watch(curves.repeat(10, axis=0), clusters=names).is_worse
    assert alarms["plain"] > 20
    assert alarms["clustered"] <= 7  # 2.5 are expected; 8 or more has probability 0.004


def test_an_alarm_holds_whatever_nobody_knows(simulated: tuple[Scores, Scores]) -> None:
    curves = simulated[0]
    assert watch(curves, most=curves).is_worse
    if_right = np.minimum(1.0, curves + np.linspace(0, 1, curves.shape[1]))
    assert not watch(curves, most=if_right).is_worse


def test_curves_of_templates_have_the_mean_of_their_questions() -> None:
    rng = np.random.default_rng(6)
    curves, names = rng.random((12, 5)), list("aaaabbbbbccd")
    of_templates = over_optimisation._of_templates(curves, names)
    assert of_templates.shape == (4, 5)
    assert of_templates.mean(axis=0) == pytest.approx(curves.mean(axis=0))
