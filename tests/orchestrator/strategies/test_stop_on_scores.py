"""Rules that look at scores: is one more sample worth its cost, does enough weight agree?"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm, t

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.strategies.stop_on_scores import (
    ReservationStop,
    ScoreRule,
    WeightedConsensus,
    expected_gain,
)
from nbest.orchestrator.strategies.stop_on_votes import VoteStands


def test_the_expected_gain_is_the_integral_over_the_predictive_law() -> None:
    rng = np.random.default_rng(3)
    for n in (3, 5, 20):
        scores = rng.normal(2.0, 0.7, n)
        law = t(n - 1, loc=scores.mean(), scale=scores.std(ddof=1) * math.sqrt(1 + 1 / n))
        best = float(scores.max())
        steps = (np.arange(400_000) + 0.5) / 400_000  # quantiles
        by_hand = float(np.mean(np.maximum(law.ppf(steps) - best, 0.0)))
        assert expected_gain(scores) == pytest.approx(by_hand, rel=0.02)
    assert expected_gain(np.full(5, 0.3)) == 0.0


def test_the_scale_and_the_zero_of_the_scores_do_not_matter() -> None:
    scores = np.array([0.1, 0.5, 0.4, 0.9])
    assert expected_gain(10 * scores + 3) == pytest.approx(10 * expected_gain(scores))


def test_it_earns_what_the_best_fixed_number_of_samples_would() -> None:
    """Prizes from a normal law that it must learn; the most that anyone can earn is known.

    The best fixed number is found on these very prizes, and nobody knows it beforehand.
    """
    cost, trials, most = 0.02, 400, 200
    draws = np.random.default_rng(7).normal(0.0, 1.0, (trials, most))
    rule = ReservationStop(cost=cost)
    earned = []
    for row in draws:
        n = next(k for k in range(1, most) if rule.stops_on(row[:k], ["a"] * k, most))
        earned.append(float(row[:n].max()) - cost * n)
    fixed = max(float((draws[:, :n].max(axis=1) - cost * n).mean()) for n in range(1, 60))
    reservation = brentq(lambda z: norm.pdf(z) - z * norm.sf(z) - cost, 0, 5)
    assert fixed < float(np.mean(earned)) <= reservation + 0.1


def test_what_no_score_can_reach_is_no_gain() -> None:
    scores = np.array([0.2, 0.9, 0.5, 0.7, 0.99])
    law = t(4, loc=scores.mean(), scale=scores.std(ddof=1) * math.sqrt(1.2))
    steps = (np.arange(400_000) + 0.5) / 400_000
    by_hand = float(np.mean(np.clip(law.ppf(steps), 0.99, 1.0) - 0.99))
    assert expected_gain(scores, highest=1.0) == pytest.approx(by_hand, rel=0.02)
    assert ReservationStop(cost=0.01, highest=1.0).stops_on(scores, ["a"] * 5, 64)
    assert not ReservationStop(cost=0.01).stops_on(scores, ["a"] * 5, 64)


def test_what_holds_no_answer_costs_and_wins_nothing() -> None:
    rule = ReservationStop(cost=0.05, min_scores=4)
    scores = np.array([0.2, 0.4, 0.3, 0.41])
    silent = np.concatenate([scores, [9.0, math.nan]])
    assert not rule.stops_on(scores[:3], ["a"] * 3, 64)  # too few to learn from
    gain = expected_gain(scores)
    just_under = ReservationStop(cost=gain * 0.99, min_scores=4)
    assert not just_under.stops_on(scores, ["a"] * 4, 64)
    assert just_under.stops_on(silent, [*"aaaa", None, "b"], 64)  # a third of all is lost


def test_consensus_wants_its_share_of_the_weights_after_the_warm_up() -> None:
    rule = WeightedConsensus(share=0.9, warm_up=4)
    totals = np.array([9.0, 9.0, 1.0, math.nan])
    answers = ["a", "a", "b", None]
    assert not rule.stops_on(totals[:3], answers[:3], 64)
    assert rule.stops_on(totals, answers, 64)
    assert not rule.stops_on(np.array([8.0, 8.0, 1.0, math.nan]), answers, 64)
    assert not rule.stops_on(np.full(4, math.nan), [None] * 4, 64)


def test_the_two_kinds_are_told_apart() -> None:
    assert isinstance(ReservationStop(), ScoreRule)
    assert not isinstance(VoteStands(), ScoreRule)


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="cost must be above 0, got 0"):
        ReservationStop(cost=0)
    with pytest.raises(InputError, match="min_scores must be at least 3, got 2"):
        ReservationStop(min_scores=2)
    with pytest.raises(InputError, match=r"share must lie in \(0.5, 1\], got 0.5"):
        WeightedConsensus(share=0.5)
    with pytest.raises(InputError, match="warm_up must be at least 1, got 0"):
        WeightedConsensus(warm_up=0)
