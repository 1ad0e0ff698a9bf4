"""A batch-wide budget: it is kept, it goes where it is worth most, and the pace changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from nbest import FakeBackend, LastNumber, MajorityVote, Reply
from nbest.model_backend.fake.clocks import VirtualTime
from nbest.orchestrator.errors import InputError, RequestRejected
from nbest.orchestrator.run.job import Job, Work
from nbest.orchestrator.run.local import run, run_here
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.budget import BatchBudget, worth
from nbest.orchestrator.strategies.within_budget import WithinBudget
from nbest.orchestrator.types import Outcome, Query, Record, Request

QUERIES = [Query(id=f"q{q}", prompt=f"{q}?") for q in range(16)]


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


def within(budget: BatchBudget, **changes: object) -> WithinBudget:
    params = SamplingParams(max_tokens=9)
    settings = {"select": MajorityVote(), "extract": LastNumber(), "params": params, **changes}
    return WithinBudget(budget=budget, **settings)  # type: ignore[arg-type]


def carried_out(
    budget: BatchBudget, script: Callable[[Request], Reply], **changes: object
) -> list[Record]:
    work = Work(run="run", seed=0, strategy=within(budget, **changes), directory=None)
    job = Job(work=work, backend=FakeBackend(script=script), queries=QUERIES)
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(run_here(job, lambda progress: None))


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
    answers = [["a"] * 2, ["a"] * 2, [None], ["a"] * 2, [None], ["a"], ["a"], ["a"]]
    assert budget.next(answers) == [2]  # an eighth of eight questions
    assert budget.next(answers * 2) == [2, 4]
    assert budget.next([["a"] * 4] * 8) == []  # it is spent
    assert budget.next(answers, closed={2}) == [4]


def test_first_samples_come_first_and_breadth_first() -> None:
    budget = BatchBudget(average=4, max_n=8, first_n=2)
    assert budget.next([[], [], []]) == [0, 1, 2, 0, 1, 2]
    assert budget.next([["a"] * 5, ["a"], []]) == [2, 1, 2]
    assert budget.next([["a"] * 5, ["a"], []], closed={2}) == [1]


def test_large_batches_have_large_rounds() -> None:
    budget = BatchBudget(average=8, max_n=16, first_n=1, round_size=8)
    assert len(budget.next([["a", "b"]] * 64)) == 8
    assert len(budget.next([["a", "b"]] * 6400)) == 100
    assert len(budget.next([["a", "b"]] * 16)) == 2


def wordy(request: Request) -> Reply:
    """Three to nine tokens, of which the last is the answer; questions differ in how long."""
    _, query, sample = request.id.split("/")
    q, s = int(query[1:]), int(sample[1:])
    return Reply(tokens=(*("so " for _ in range(2 + q % 6)), "7" if (q * s) % 3 else "8"))


def test_a_budget_of_tokens_is_kept_to_about_one_sample() -> None:
    records = carried_out(BatchBudget(tokens=600, max_n=40, round_size=4), wordy)
    spent = sum(record.usage.generated_tokens for record in records)
    assert 600 - 9 <= spent <= 600 + 4 * 9  # the last round is one of short or of long questions
    assert {record.outcome for record in records} == {Outcome.ANSWERED}
    assert min(record.usage.samples for record in records) >= 3


def test_questions_that_the_tokens_do_not_reach_are_out_of_budget_and_not_wrong() -> None:
    records = carried_out(BatchBudget(tokens=30, max_n=40, round_size=2), wordy)
    ends = [record.outcome for record in records]
    count = ends.count(Outcome.OUT_OF_BUDGET)
    assert 0 < count < 16
    assert ends == [Outcome.ANSWERED] * (16 - count) + [Outcome.OUT_OF_BUDGET] * count
    assert all(record.usage.samples == 0 for record in records[16 - count :])
    assert records[-1].error == "the budget of the batch was spent before its first sample"


@dataclass(frozen=True)
class Broken:
    """An extractor that fails at what one question's samples say."""

    def __call__(self, text: str) -> str:
        if text.startswith("so so so so so so so "):
            raise ValueError("cannot read this")
        return text


def test_what_fails_at_one_question_ends_that_one_alone() -> None:
    records = carried_out(BatchBudget(average=5, max_n=9), wordy, extract=Broken())
    broken = [q for q in range(16) if q % 6 == 5]
    for q, record in enumerate(records):
        expected = Outcome.ERROR if q in broken else Outcome.ANSWERED
        assert record.outcome is expected
    expected_error = "extract Broken: ValueError: cannot read this (test_budget.py:143)"
    assert records[5].error == expected_error
    assert records[5].usage.samples == 3  # and it takes no more of the budget


def test_one_question_is_a_batch_of_one() -> None:
    strategy = within(BatchBudget(average=4, max_n=8))
    records = run(QUERIES[:1], strategy, FakeBackend(script=wordy))
    assert [record.usage.samples for record in records] == [4]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"average": 2.0}, r"average must lie in 3..64, from first_n to max_n, got 2.0"),
        ({"average": 65.0}, r"average must lie in 3..64, from first_n to max_n, got 65.0"),
        ({"average": 9.0, "first_n": 0}, "first_n must lie in 1..64"),
        ({"average": 9.0, "round_size": 0}, "round_size must be at least 1, got 0"),
        ({"tokens": 0}, "tokens must be at least 1, got 0"),
        ({}, r"budget must set exactly one of average, tokens, got \[\]"),
        ({"average": 9.0, "tokens": 9}, r"exactly one of average, tokens, got \['average', 'tok"),
    ],
)
def test_settings_are_checked(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BatchBudget(**settings)  # type: ignore[arg-type]
