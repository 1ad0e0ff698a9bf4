"""Estimates over a panel: arms are strata, and no estimate takes them for one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, permutations, product

import numpy as np
import pytest

from nbest import First, MajorityVote, MeanLogprob, Query, Random, Sample, Shortest
from nbest.experiments.analysis.curves.arms import (
    MIXTURE,
    affordable,
    arm_table,
    best_arm_sentence,
    by_arm,
    worth_at,
)
from nbest.experiments.analysis.curves.exact import any_curves, one_curves
from nbest.experiments.analysis.curves.of_selectors import question_curves, scored_pools
from nbest.experiments.analysis.curves.sampled import _orders
from nbest.experiments.analysis.replay.replay import orders
from nbest.experiments.runs.case import Case
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.selection import candidates_at
from nbest.orchestrator.types import Candidates

TURNS = ("hot", "cold", "hot", "hot", "cold", "hot")


def case_of(
    answers: Sequence[str | None],
    arms: Sequence[str] = TURNS,
    *,
    name: str = "q",
    tokens: Sequence[int] | None = None,
) -> Case:
    """A question whose right answer is "1"."""
    samples = tuple(
        Sample(
            id=f"r/{name}/s{i}",
            text=answer or "",
            logprobs=(-float(i % 4) / 7,),
            generated_tokens=1 if tokens is None else tokens[i],
            arm=arm,
        )
        for i, (answer, arm) in enumerate(zip(answers, arms, strict=True))
    )
    verdicts = {answer: float(answer == "1") for answer in answers if answer is not None}
    candidates = Candidates(samples=samples, answers=tuple(answers))
    return Case(
        query=Query(id=name, prompt="?"), candidates=candidates, verdicts=verdicts, is_graded=True
    )


CASE = case_of(("1", "2", "1", "3", "1", None))


def stratified(arms: Sequence[str], k: int) -> Iterator[list[int]]:
    """Every set of samples that may stand at the first k turns: each arm's are any of its own."""
    choices = []
    for arm in dict.fromkeys(arms):
        places = [i for i, name in enumerate(arms) if name == arm]
        choices.append(list(combinations(places, sum(name == arm for name in arms[:k]))))
    for parts in product(*choices):
        yield sorted(place for part in parts for place in part)


def brute_force(scorer: Scorer, case: Case, k: int) -> float:
    """The mean value of the choice over all stratified subsets, ties shared."""
    values = []
    for places in stratified(case.arms, k):
        candidates = candidates_at(case.candidates, places)
        scores = asyncio.run(_scores(scorer, case, candidates))
        able = [i for i, a in enumerate(candidates.answers) if a is not None]
        if not able:
            values.append(0.0)
            continue
        best = max(scores[i] for i in able)
        wins = [case.verdicts[candidates.answers[i] or ""] for i in able if scores[i] == best]
        values.append(float(np.mean(wins)))
    return float(np.mean(values))


def first_by_hand(scorer: Scorer, case: Case, k: int) -> float:
    """The mean value of the first answer, over all orders in which each arm keeps its turns."""
    places = {arm: [i for i, a in enumerate(case.arms) if a == arm] for arm in set(case.arms)}
    values = []
    for orders_ in product(*(permutations(of_arm) for of_arm in places.values())):
        left = {arm: list(order) for arm, order in zip(places, orders_, strict=True)}
        drawn = [case.candidates.answers[left[arm].pop(0)] for arm in case.arms[:k]]
        first = next((answer for answer in drawn if answer is not None), None)
        values.append(0.0 if first is None else case.verdicts[first])
    return float(np.mean(values))


async def _scores(scorer: Scorer, case: Case, candidates: Candidates) -> np.ndarray:
    if isinstance(scorer, Random):
        return np.zeros(len(candidates.answers))
    return await scorer(case.query, candidates)


@pytest.mark.parametrize("k", range(1, 7))
def test_any_right_is_exact_over_all_subsets_that_keep_arms_apart(k: int) -> None:
    values = [float(a == "1") for a in CASE.candidates.answers]
    hits = [max(values[i] for i in places) for places in stratified(TURNS, k)]
    assert any_curves([CASE], 6)[0, k - 1] == pytest.approx(np.mean(hits))
    means = [np.mean([values[i] for i in places]) for places in stratified(TURNS, k)]
    assert one_curves([CASE], 6)[0, k - 1] == pytest.approx(np.mean(means))


@pytest.mark.parametrize(
    "scorer", [MajorityVote(), MeanLogprob(), First(), Random(), Shortest()], ids=repr
)
def test_curves_of_selectors_keep_arms_apart(scorer: Scorer) -> None:
    pools = scored_pools({"s": scorer}, [CASE])
    curve = question_curves("s", scorer, pools, range(1, 7))[0]
    by_hand = first_by_hand if isinstance(scorer, First) else brute_force
    exact = [by_hand(scorer, CASE, k) for k in range(1, 7)]
    assert curve == pytest.approx(exact, abs=0.01)
    if not isinstance(scorer, First):  # the first of all depends on the order, too
        assert curve[-1] == pytest.approx(exact[-1])


def test_one_arm_is_a_pool_like_any_other() -> None:
    plain = case_of(CASE.candidates.answers, [""] * 6)
    named = case_of(CASE.candidates.answers, ["only"] * 6)
    for scorer in (MajorityVote(), MeanLogprob()):
        curves = [
            question_curves("s", scorer, scored_pools({"s": scorer}, [case]), [6])
            for case in (plain, named)
        ]
        assert np.array_equal(*curves)


def test_orders_move_samples_within_their_arm_alone() -> None:
    for order in _orders("q", TURNS, 50).tolist():
        assert [TURNS[place] for place in order] == list(TURNS)
        assert sorted(order) == list(range(6))
    for replayed in orders(CASE, 4, 20, 1, 0):
        assert [TURNS[place] for place in replayed] == list(TURNS[:4])


def test_cases_by_arm_hold_its_samples_and_only_questions_that_all_have() -> None:
    short = case_of(("1", "1"), ("hot", "hot"), name="q2")
    arms = by_arm([CASE, short])
    assert list(arms) == ["cold", "hot"]
    assert [case.query.id for case in arms["cold"]] == ["q"]
    assert arms["cold"][0].candidates.answers == ("2", "1")
    assert by_arm([case_of(("1", "2"), ("", ""))]) == {}


def test_a_curve_between_two_numbers_of_samples() -> None:
    curve = np.array([[0.0, 1.0, 1.0]])
    assert worth_at(curve, 1.25) == pytest.approx([0.25])
    assert worth_at(curve, 3.0) == pytest.approx([1.0])
    assert worth_at(curve, 99.0) == pytest.approx([1.0])


def test_arms_are_compared_at_equal_tokens() -> None:
    """The dear arm pays for half as many samples; the good one is right always."""
    arms = ("good", "dear") * 4
    cases = [case_of(("1", "2") * 4, arms, name=f"q{i}", tokens=(10, 20) * 4) for i in range(12)]
    table = arm_table("vote", MajorityVote(), cases)
    assert table is not None
    rows = {row.name: row for row in table.rows}
    assert list(rows) == ["dear", "good", MIXTURE]
    assert table.tokens == 40.0  # what four samples of the cheap arm cost
    # Turns cost 10, 20, 10: forty tokens pay for three of them.
    assert [rows[n].chosen_k for n in ("dear", "good", MIXTURE)] == [2.0, 4.0, 3.0]
    assert (rows["good"].chosen.mean, rows["dear"].chosen.mean) == (1.0, 0.0)
    assert rows["good"].one.mean == 1.0
    assert rows["good"].gain is not None
    assert rows["dear"].gain is not None
    assert (rows["good"].gain.mean, rows["dear"].gain.mean) == (0.0, 1.0)  # two of three votes
    assert "against good, the best arm on these questions" in best_arm_sentence(table)
    document = table.as_json()
    assert document["select"] == "vote"


def test_turns_are_paid_for_in_their_order() -> None:
    paid = np.array([500.0, 600.0, 1100.0])
    assert affordable(paid, 499.0) is None
    assert affordable(paid, 500.0) == 1.0
    assert affordable(paid, 550.0) == 1.5
    assert affordable(paid, 1100.0) == 3.0
    assert affordable(paid, 9999.0) == 3.0


def test_an_arm_that_cannot_pay_for_one_sample_is_not_compared() -> None:
    arms = ("cheap", "dear") * 8
    cases = [case_of(("1", "2") * 8, arms, name=f"q{i}", tokens=(30, 900) * 8) for i in range(12)]
    table = arm_table("vote", MajorityVote(), cases)
    assert table is not None
    rows = {row.name: row for row in table.rows}
    assert table.tokens == 240.0
    assert (rows["dear"].chosen_k, rows["dear"].gain) == (0.0, None)
    assert rows["cheap"].gain is not None
    assert "against cheap, the best arm" in best_arm_sentence(table)
    row = next(r for r in table.as_json()["arms"] if r["arm"] == "dear")  # type: ignore[attr-defined]
    assert (row["k"], row["chosen"], row["gain"]) == (None, None, None)


def test_what_nobody_knows_bounds_the_gain() -> None:
    """One arm is right, and nobody can grade the other: the mixture may be as good as the first."""
    arms = ("right", "unknown") * 4
    cases = [case_of(("1", "?") * 4, arms, name=f"q{i}") for i in range(30)]
    cases = [replace(case, verdicts={"1": 1.0, "?": math.nan}) for case in cases]
    table = arm_table("vote", MajorityVote(), cases)
    assert table is not None
    row = next(row for row in table.rows if row.name == "right")
    assert row.gain is not None
    assert row.gain.low < 0 <= row.gain.high
    assert row.p_value == 1.0


def test_questions_that_an_arm_lacks_are_told_of() -> None:
    whole = [case_of(("1", "2") * 2, ("a", "b") * 2, name=f"q{i}") for i in range(3)]
    part = [case_of(("1", "1"), ("a", "a"), name=f"p{i}") for i in range(2)]
    table = arm_table("vote", MajorityVote(), [*whole, *part])
    assert table is not None
    assert "on 3 of 5 questions, those with all arms" in best_arm_sentence(table)
    apart = [case_of(("1",) * 2, ("a", "b")), case_of(("1",) * 2, ("b", "c"), name="r")]
    assert arm_table("vote", MajorityVote(), apart) is None


def test_a_run_without_arms_has_no_table() -> None:
    assert arm_table("vote", MajorityVote(), [case_of(("1",), ("",))]) is None
