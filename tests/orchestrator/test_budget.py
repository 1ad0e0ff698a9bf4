"""A batch-wide budget: it is kept, it goes where it is worth most, and the pace changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
import pytest

from model_backend import FakeBackend, Reply
from model_backend.clocks import VirtualTime
from orchestrator.budget import BatchBudget, worth
from orchestrator.budget_run import run_within
from orchestrator.errors import InputError, RequestRejected
from orchestrator.strategies import BestOfN
from orchestrator.types import Outcome, Query, Record, Request, SamplingParams
from scorers import LastNumber, MajorityVote

QUERIES = [Query(id=f"q{q}", prompt=f"{q}?") for q in range(16)]
VOTE = BestOfN(
    n=1, select=MajorityVote(), extract=LastNumber(), params=SamplingParams(max_tokens=9)
)


@dataclass(frozen=True)
class Crowd:
    """Even questions are easy, odd ones are close; `pace` says how long each sample takes."""

    pace: int = 0
    broken: str = ""

    def __call__(self, request: Request) -> Reply:
        _, query, sample = request.id.split("/")
        if query == self.broken:
            return Reply(tokens=(), error=RequestRejected("no"))
        rng = np.random.default_rng([int(query[1:]), int(sample[1:])])
        p = 0.95 if int(query[1:]) % 2 == 0 else 0.55
        slow = np.random.default_rng([self.pace, int(query[1:]), int(sample[1:])]).random()
        return Reply(tokens=("7" if rng.random() < p else "8",), token_s=slow)


def carried_out(budget: BatchBudget, script: Crowd) -> list[Record]:
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(run_within(budget, QUERIES, VOTE, FakeBackend(script=script)))


def test_the_budget_is_kept_and_close_questions_get_more() -> None:
    records = carried_out(BatchBudget(average=10, max_n=40), Crowd())
    counts = [record.usage.samples for record in records]
    assert [record.query_id for record in records] == [query.id for query in QUERIES]
    assert sum(counts) == 160
    assert min(counts) >= 3
    assert max(counts) <= 40
    assert np.mean(counts[1::2]) > 1.5 * np.mean(counts[::2])
    assert {record.outcome for record in records} == {Outcome.ANSWERED}


def test_the_pace_of_the_engines_changes_nothing() -> None:
    budget = BatchBudget(average=6, max_n=20, round_size=4)
    one, two = (carried_out(budget, Crowd(pace=pace)) for pace in (1, 2))
    assert [(r.answer, r.usage.samples) for r in one] == [(r.answer, r.usage.samples) for r in two]


def test_what_the_engine_refuses_takes_no_more_of_the_budget() -> None:
    records = carried_out(BatchBudget(average=8, max_n=40), Crowd(broken="q3"))
    assert records[3].outcome is Outcome.ERROR
    drawn = [record.usage.samples for record in records]
    assert sum(drawn[:3] + drawn[4:]) == 8 * 16 - 3  # it had its first three


def test_a_lead_is_worth_more_samples_the_closer_it_is() -> None:
    values = [worth((lead, 4), lead + 4, 32) for lead in (4, 5, 6, 8, 12)]
    assert values == sorted(values, reverse=True)
    assert worth((), 4, 32) == 1.0
    assert worth((4,), 4, 0) == 0.0  # nothing is left to draw
    assert worth((3,), 3, 32) > worth((9,), 9, 32)


def test_ties_go_to_the_question_with_fewer_samples_and_then_to_the_first() -> None:
    budget = BatchBudget(average=4, max_n=8, first_n=1, round_size=9)
    answers = [["a"] * 2, ["a"] * 2, [None], ["a"] * 2, [], ["a"], ["a"], ["a"]]
    assert budget.next(answers) == [4]  # an eighth of eight questions
    assert budget.next(answers * 2) == [4, 12]
    assert budget.next([["a"] * 4] * 8) == []  # it is spent
    assert budget.next(answers, closed={4}) == [2]
    assert budget.first(2) == [0, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"average": 2.0}, r"average must lie in 3..64, from first_n to max_n, got 2.0"),
        ({"average": 65.0}, r"average must lie in 3..64, from first_n to max_n, got 65.0"),
        ({"average": 9.0, "first_n": 0}, "first_n must lie in 1..64"),
        ({"average": 9.0, "round_size": 0}, "round_size must be at least 1, got 0"),
    ],
)
def test_settings_are_checked(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BatchBudget(**settings)  # type: ignore[arg-type]
