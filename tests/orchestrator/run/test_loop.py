"""The main loop: every query ends once, engines stay full, failures stay where they belong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from nbest import (
    BestOfN,
    Candidates,
    FakeBackend,
    First,
    MajorityVote,
    MeanLogprob,
    Outcome,
    Query,
    Record,
    Reply,
    Request,
    Sample,
    SamplingParams,
    Scores,
    SeededAnswers,
    Selection,
    Status,
    ask,
    run,
)
from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.engines.pool_engine import PooledEngine
from nbest.orchestrator.errors import BackendError, EngineDead, InputError, RequestRejected
from nbest.orchestrator.run.loop import Answered, Loop
from nbest.orchestrator.store.run_store import MemoryStore

VOTE = BestOfN(n=5, select=MajorityVote(), params=SamplingParams(max_tokens=4))
WRONG_HALF_THE_TIME = SeededAnswers(answers=("42", "41"), weights=(1, 1))


def queries(count: int) -> list[Query]:
    return [Query(id=f"q{i}", prompt=f"question {i}") for i in range(count)]


async def stream(items: Sequence[Query]) -> AsyncIterator[Query]:
    for item in items:
        yield item


@asynccontextmanager
async def loop_over(
    backend: FakeBackend, strategy: BestOfN = VOTE, *, slots: int = 8, seed: int = 0
) -> AsyncIterator[Loop]:
    async with backend.open() as engine:
        pool = Pool([PooledEngine(name="e0", backend=engine, slots=slots)])
        yield Loop(strategy=strategy, pool=pool, store=MemoryStore(), seed=seed)


async def answer_all(loop: Loop, count: int) -> dict[str, Record]:
    done: list[Answered] = []
    await loop.answer_all(stream(queries(count)), done.append)
    records = {answered.record.query_id: answered.record for answered in done}
    assert len(records) == len(done)  # nobody ends twice
    return records


async def test_every_query_ends_once_with_what_it_cost() -> None:
    async with loop_over(FakeBackend(script=WRONG_HALF_THE_TIME)) as loop:
        records = await answer_all(loop, 20)
        assert all(loop.store.get(q, i) is not None for q in records for i in range(5))
    assert sorted(records) == sorted(query.id for query in queries(20))
    for record in records.values():
        assert record.outcome is Outcome.ANSWERED
        assert record.usage.samples == record.usage.generated_tokens == 5
        assert record.answer in ("41", "42")
        assert record.confidence >= 0.6
        assert record.strategy == repr(VOTE)
    assert (loop.tally.queries, loop.tally.samples_drawn, loop.tally.errors) == (20, 100, 0)


async def test_records_depend_on_the_seed_and_on_nothing_else() -> None:
    async def answers(slots: int, seed: int) -> dict[str, str | None]:
        backend = FakeBackend(script=WRONG_HALF_THE_TIME)
        async with loop_over(backend, slots=slots, seed=seed) as loop:
            return {k: r.answer for k, r in (await answer_all(loop, 30)).items()}

    assert await answers(slots=1, seed=7) == await answers(slots=100, seed=7)
    assert await answers(slots=8, seed=7) != await answers(slots=8, seed=8)


async def test_stored_samples_are_reused_and_only_the_missing_are_drawn() -> None:
    async with loop_over(FakeBackend(script=WRONG_HALF_THE_TIME)) as loop:
        before = await answer_all(loop, 4)
        more = Loop(
            strategy=BestOfN(n=8, select=First()), pool=loop.pool, store=loop.store, seed=99
        )
        await answer_all(more, 4)
        assert (more.tally.samples_reused, more.tally.samples_drawn) == (20, 12)
        again = Loop(strategy=VOTE, pool=loop.pool, store=loop.store, seed=99)
        after = await answer_all(again, 4)
    assert again.tally.samples_drawn == 0
    assert {k: r.answer for k, r in after.items()} == {k: r.answer for k, r in before.items()}


async def test_a_rejected_request_is_an_error_of_its_query_alone() -> None:
    def script(request: Request) -> Reply:
        if request.prompt == "question 3":
            return Reply(tokens=(), error=RequestRejected("prompt of 9 tokens is too long"))
        return Reply(tokens=("7",))

    async with loop_over(FakeBackend(script=script)) as loop:
        records = await answer_all(loop, 6)
    assert records["q3"].outcome is Outcome.ERROR
    assert records["q3"].error == "prompt of 9 tokens is too long"
    assert [r.outcome for k, r in records.items() if k != "q3"] == [Outcome.ANSWERED] * 5
    assert loop.tally.errors == 1


async def test_a_failed_sample_never_votes_but_the_others_do() -> None:
    def script(request: Request) -> Reply:
        is_last = request.id.endswith("s4")
        return Reply(tokens=("7",), error=RequestRejected("no") if is_last else None)

    async with loop_over(FakeBackend(script=script)) as loop:
        answered = await loop.answer(queries(1)[0])
    assert answered.selection is not None
    assert [s.status for s in answered.selection.samples] == [Status.OK] * 4 + [Status.ERROR]
    assert answered.record.answer == "7"
    assert answered.record.confidence == 1.0
    assert np.isnan(answered.selection.scores[4])


async def test_truncated_samples_abstain() -> None:
    backend = FakeBackend(script=lambda _: Reply(tokens=("long",) * 9))
    async with loop_over(backend) as loop:
        record = (await answer_all(loop, 1))["q0"]
    assert (record.outcome, record.index, record.answer) == (Outcome.ABSTAINED, None, None)
    assert record.usage.generated_tokens == 20  # their tokens are counted all the same


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A plugin that raises, or that returns too few scores."""

    raises: bool = True
    needs_logprobs: int | None = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        if self.raises:
            raise ZeroDivisionError("division by zero")
        return np.zeros(1)


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        (Broken(), "select Broken: ZeroDivisionError: division by zero (test_loop.py:"),
        (Broken(raises=False), r"InputError: the scores of Broken(raises=False, needs_logprobs="),
    ],
)
async def test_a_broken_scorer_is_the_querys_error(scorer: Broken, message: str) -> None:
    backend = FakeBackend(script=WRONG_HALF_THE_TIME)
    async with loop_over(backend, BestOfN(n=5, select=scorer)) as loop:
        records = await answer_all(loop, 2)
    assert [r.outcome for r in records.values()] == [Outcome.ERROR] * 2
    assert all(r.error.startswith(message) for r in records.values())


async def test_the_death_of_the_engine_stops_the_run_and_leaves_nothing_running() -> None:
    def script(request: Request) -> Reply:
        dead = EngineDead("out of memory") if request.id == "run/q1/s2" else None
        return Reply(tokens=("7",), token_s=0.0 if dead else 3600.0, error=dead)

    backend = FakeBackend(script=script)
    async with backend.open() as engine:
        pool = Pool([PooledEngine(name="e0", backend=engine, slots=100)])
        loop = Loop(strategy=VOTE, pool=pool, store=MemoryStore())
        with pytest.raises(EngineDead, match="out of memory"):
            await loop.answer_all(stream(queries(5)), lambda answered: None)
        assert engine.in_flight == ()


@pytest.mark.parametrize(("n", "count"), [(1, 60), (16, 60), (1000, 3)])
async def test_queries_are_opened_only_as_engines_have_room(n: int, count: int) -> None:
    """Whatever n is, at most one query more is open than the engine's slots can hold."""
    release = asyncio.Event()
    opened: list[str] = []

    class Held:
        async def generate(self, request: Request) -> Sample:
            await release.wait()
            return Sample(id=request.id, text="7")

        async def abort(self, request_id: str) -> None: ...

    async def noting() -> AsyncIterator[Query]:
        for query in queries(count):
            opened.append(query.id)
            yield query

    pool = Pool([PooledEngine(name="e0", backend=Held(), slots=32)])
    loop = Loop(strategy=BestOfN(n=n, select=First()), pool=pool, store=MemoryStore())
    running = asyncio.create_task(loop.answer_all(noting(), lambda answered: None))
    for _ in range(2000):
        await asyncio.sleep(0)
    assert len(opened) == 32 // n + 1
    release.set()
    await running
    assert len(opened) == count


def test_logprobs_are_asked_for_only_when_a_scorer_needs_them() -> None:
    plain = BestOfN(n=2, select=MajorityVote())
    scored = BestOfN(n=2, select=MeanLogprob())
    chosen = BestOfN(n=2, select=MeanLogprob(), params=SamplingParams(logprobs=5))
    assert [s.sampling().logprobs for s in (plain, scored, chosen)] == [None, 0, 5]


def test_n_must_be_positive() -> None:
    with pytest.raises(InputError, match="n must be at least 1, got 0"):
        BestOfN(n=0, select=First())


def test_ask_answers_one_question() -> None:
    backend = FakeBackend(script=SeededAnswers(answers=("42", "41"), weights=(9, 1)))
    selection = ask("What is 17 + 25?", VOTE, backend)
    assert isinstance(selection, Selection)
    assert selection.answer == "42"
    assert len(selection.samples) == len(selection.scores) == 5


def test_ask_raises_what_went_wrong() -> None:
    no = RequestRejected("the prompt is too long")
    backend = FakeBackend(script=lambda _: Reply(tokens=(), error=no))
    with pytest.raises(BackendError, match="the prompt is too long"):
        ask("?", VOTE, backend)


async def test_run_works_inside_a_running_event_loop_as_in_a_notebook() -> None:
    records = run(queries(3), VOTE, FakeBackend(script=WRONG_HALF_THE_TIME))
    assert [r.outcome for r in records] == [Outcome.ANSWERED] * 3
