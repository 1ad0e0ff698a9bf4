"""Weights of arms: fitted by the accuracy of the vote, and measured on questions left out."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from nbest import ArmWeight, WeightedVote
from nbest.experiments.config.plugins import build_scorer
from nbest.experiments.runs.case import Case
from nbest.experiments.training.arm_weights import (
    WEIGHTS,
    ballots_of,
    best_weights,
    fitted_on,
    folds_of,
)
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.query.selection import select
from nbest.orchestrator.types import Candidates, Query, Sample

RIGHT, WRONG = "7", "8"


def question(number: int, votes: Sequence[tuple[str, str | None]], **more: object) -> Case:
    """A question with the arm and the answer of each sample."""
    arms = [arm for arm, _ in votes]
    samples = tuple(Sample(id=f"r/q{number}/s{i}", text="", arm=a) for i, a in enumerate(arms))
    candidates = Candidates(samples=samples, answers=tuple(answer for _, answer in votes))
    verdicts = {RIGHT: 1.0, WRONG: 0.0}
    case = Case(
        query=Query(id=f"q{number}", prompt="?"),
        candidates=candidates,
        verdicts=verdicts,
        is_graded=True,
    )
    return replace(case, **more)  # type: ignore[arg-type]


def panel(
    right: dict[str, float], samples: dict[str, int], count: int, seed: int = 1
) -> list[Case]:
    """Questions at which each arm is right or wrong with all of its samples."""
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(count):
        votes: list[tuple[str, str | None]] = []
        for arm, share in right.items():
            answer = RIGHT if rng.random() < share else WRONG
            votes += [(arm, answer)] * samples[arm]
        cases.append(question(number, votes))
    return cases


def test_few_votes_of_a_better_arm_come_to_count_for_more() -> None:
    cases = panel({"large": 0.9, "small": 0.5}, {"large": 2, "small": 10}, 200)
    fitted = fitted_on(cases, folds=5)
    assert fitted.weights["large"] * 2 > fitted.weights["small"] * 10
    assert fitted.fitted.mean > fitted.plain.mean + 0.25
    assert fitted.gain.low > 0.2
    assert fitted.questions == 200


def test_arms_that_are_alike_keep_equal_weights() -> None:
    cases = [question(i, [("a", RIGHT), ("b", RIGHT)]) for i in range(20)]
    fitted = fitted_on(cases, folds=4)
    assert fitted.weights == {"a": 1.0, "b": 1.0}
    assert (fitted.fitted.mean, fitted.gain.mean) == (1.0, 0.0)


def test_no_question_has_a_part_in_its_own_weights() -> None:
    """What the questions of a fold say changes the weights of all other folds alone."""
    cases = panel({"a": 0.6, "b": 0.5, "c": 0.55}, {"a": 1, "b": 3, "c": 2}, 60)
    folds = folds_of([case.query.id for case in cases], 3)
    before = fitted_on(cases, folds=3)
    for fold in range(3):
        changed = [
            replace(case, verdicts={RIGHT: 0.0, WRONG: 1.0}) if of == fold else case
            for case, of in zip(cases, folds, strict=True)
        ]
        after = fitted_on(changed, folds=3)
        assert after.folds[fold] == before.folds[fold]


def test_chance_wins_nothing_on_questions_that_were_left_out() -> None:
    """Fitted on noise, weights look good where they were fitted and are worth nothing elsewhere."""
    gains, seen = [], []
    for seed in range(40):
        cases = panel(dict.fromkeys("abc", 0.5), dict.fromkeys("abc", 1), 40, seed)
        fitted = fitted_on(cases, folds=5)
        ballots = [ballots_of(case, ["a", "b", "c"]) for case in cases]
        weights = best_weights(ballots)
        seen.append(np.mean([b.worth(weights) for b in ballots]) - fitted.plain.mean)
        gains.append(fitted.gain.mean)
    error = np.std(gains) / np.sqrt(len(gains))
    assert np.mean(seen) > 0.05
    assert abs(np.mean(gains)) < 4 * error


def test_the_selector_does_what_was_measured() -> None:
    """Live selection with the weights is right where the fit says so, ties and gaps included."""
    rng = np.random.default_rng(3)
    answers = [RIGHT, WRONG, "9", None]
    cases = []
    for number in range(80):
        drawn = rng.choice(4, size=6, p=[0.4, 0.3, 0.2, 0.1])
        votes = [("ab"[i % 2], answers[place]) for i, place in enumerate(drawn)]
        case = question(number, votes)
        cases.append(replace(case, verdicts={**case.verdicts, "9": 0.0}))
    for weights in ({"a": 1.0, "b": 1.0}, {"a": 0.5, "b": 4.0}, {"a": 2.0, "b": 0.125}):
        by = WeightedVote(by=ArmWeight(weights=weights))
        for case in cases:
            chosen = asyncio.run(select(case.query, case.candidates, by))
            right = 0.0 if chosen.answer is None else case.verdicts[chosen.answer]
            ballots = ballots_of(case, ["a", "b"])
            assert ballots.worth(np.array([weights["a"], weights["b"]])) == right


def test_what_no_grader_can_say_counts_both_ways() -> None:
    cases = panel({"a": 0.9, "b": 0.5}, {"a": 1, "b": 1}, 40)
    unknown = [
        replace(case, verdicts={RIGHT: 1.0 if i % 2 else math.nan, WRONG: 0.0})
        for i, case in enumerate(cases)
    ]
    known, doubted = fitted_on(cases, folds=4), fitted_on(unknown, folds=4)
    assert doubted.fitted.mean < known.fitted.mean
    assert doubted.fitted.high > doubted.fitted.mean + 0.3
    assert doubted.gain.low < doubted.gain.mean - 0.3 < doubted.gain.mean + 0.3 < doubted.gain.high


def test_of_three_arms_no_other_weights_are_right_more_often() -> None:
    cases = panel({"a": 0.6, "b": 0.5, "c": 0.4}, {"a": 1, "b": 2, "c": 3}, 30, seed=8)
    ballots = [ballots_of(case, ["a", "b", "c"]) for case in cases]

    def right(weights: Sequence[float]) -> float:
        return sum(question.worth(np.array(weights)) for question in ballots)

    most = max(right(weights) for weights in product(WEIGHTS, repeat=3))
    assert right(best_weights(ballots).tolist()) == most


def test_of_more_arms_each_change_alone_gains_nothing() -> None:
    arms = list("abcde")
    cases = panel(
        dict(zip(arms, (0.3, 0.4, 0.5, 0.6, 0.7), strict=True)), dict.fromkeys(arms, 1), 40
    )
    ballots = [ballots_of(case, arms) for case in cases]
    weights = best_weights(ballots)
    found = sum(question.worth(weights) for question in ballots)
    assert found >= sum(question.worth(np.ones(5)) for question in ballots)
    for arm, weight in product(range(5), WEIGHTS):
        changed = weights.copy()
        changed[arm] = weight
        assert sum(question.worth(changed) for question in ballots) <= found


@pytest.mark.parametrize(
    "arms", [("cool", "hot"), ("0.5B", "7b-chat"), ("in", "a b"), ("it's", "x")]
)
def test_the_selector_that_is_printed_has_these_weights(arms: tuple[str, str]) -> None:
    cases = [question(i, [(arms[0], RIGHT), (arms[1], WRONG)]) for i in range(20)]
    fitted = fitted_on(cases, folds=4)
    assert build_scorer(fitted.selector) == WeightedVote(by=ArmWeight(weights=fitted.weights))


def test_templates_are_left_out_whole() -> None:
    cases = [
        question(i, [("a", RIGHT), ("b", WRONG)], cluster=f"template {i // 4}") for i in range(40)
    ]
    names = [case.cluster or "" for case in cases]
    folds = folds_of(names, 5)
    assert len(set(zip(folds, names, strict=True))) == 10  # each of ten templates is in one fold
    assert [folds.count(fold) for fold in range(5)] == [8] * 5
    assert fitted_on(cases, folds=5).fitted.mean == 1.0
    with pytest.raises(InputError, match="run must hold 12 graded templates for 6 folds, got 10"):
        fitted_on(cases, folds=6)


def test_the_order_of_the_questions_changes_nothing() -> None:
    cases = panel({"a": 0.6, "b": 0.5}, {"a": 1, "b": 3}, 50)
    one, other = fitted_on(cases, 5), fitted_on(cases[::-1], 5)
    assert (one.weights, one.folds) == (other.weights, other.folds)
    assert tuple(one.fitted) == pytest.approx(tuple(other.fitted))
    assert tuple(one.gain) == pytest.approx(tuple(other.gain))


@pytest.mark.parametrize(
    ("cases", "folds", "message"),
    [
        ([], 5, "run must have samples of two arms, got none"),
        ([question(i, [("a", RIGHT)]) for i in range(20)], 5, "two arms, got a"),
        ([question(i, [("", RIGHT)]) for i in range(20)], 5, "two arms, got none"),
        ([question(i, [("a", RIGHT), ("b", RIGHT)]) for i in range(9)], 5, "hold 10 graded"),
        ([question(0, [("a", RIGHT), ("b", RIGHT)])], 1, "folds must be at least 2"),
    ],
)
def test_what_cannot_be_fitted_is_refused(cases: list[Case], folds: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fitted_on(cases, folds)
