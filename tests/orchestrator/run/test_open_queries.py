"""Open queries are bounded by their number, and by the memory that their samples take."""

from __future__ import annotations

import asyncio
import tracemalloc
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np
import pytest

from nbest import BestOfN, Candidates, FakeBackend, Query, Reply, Request, Sample, Scores
from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.engines.pool_engine import PooledEngine
from nbest.orchestrator.run import open_queries
from nbest.orchestrator.run.loop import Answered, Loop
from nbest.orchestrator.run.open_queries import OpenQueries, bytes_of
from nbest.orchestrator.store.run_store import MemoryStore

SAMPLE = Sample(id="r/q/s0", text="x" * 1000)


async def opened(queries: OpenQueries, count: int) -> list[open_queries.OpenQuery]:
    return [await asyncio.wait_for(queries.open(), 10) for _ in range(count)]


async def test_so_many_are_open_and_the_next_waits_for_one_to_end() -> None:
    queries = OpenQueries(most=3)
    places = await opened(queries, 3)
    waiting = asyncio.create_task(queries.open())
    await asyncio.sleep(0)
    assert not waiting.done()
    places[1].close()
    await asyncio.wait_for(waiting, 10)


async def test_the_next_waits_while_the_samples_take_too_much_memory() -> None:
    queries = OpenQueries(most_bytes=3 * bytes_of(SAMPLE))
    first, second = await opened(queries, 2)
    for place in (first, first, second):
        place.hold(SAMPLE)
    waiting = asyncio.create_task(queries.open())
    await asyncio.sleep(0)
    assert not waiting.done()
    second.close()
    third = await asyncio.wait_for(waiting, 10)
    third.hold(SAMPLE)
    first.close()
    third.close()
    await opened(queries, 1000)  # nothing of those that ended is counted any more


async def test_one_query_may_be_as_large_as_it_likes() -> None:
    queries = OpenQueries(most_bytes=10)
    (place,) = await opened(queries, 1)
    place.hold(SAMPLE)
    place.close()
    await opened(queries, 1)


@pytest.mark.parametrize("tokens", [0, 100, 3000])
def test_the_estimate_is_near_what_python_takes(tokens: int) -> None:
    def made(number: int) -> Sample:
        return Sample(
            id=f"run/q/s{number}",
            text="".join(chr(97 + (number + i) % 26) for i in range(4 * tokens)),
            token_ids=tuple(range(1000 + number, 1000 + number + tokens)),
            logprobs=tuple(-0.5 - number - i for i in range(tokens)),
        )

    made(0)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    samples = [made(number) for number in range(50)]
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    taken = (after - before) / len(samples)
    # Generous for small samples: what holds them, tasks and futures, takes memory too.
    assert taken / 2 - 500 <= bytes_of(samples[0]) <= 1.5 * taken + 600


@dataclass(frozen=True, slots=True)
class WaitsForSignal:
    """A scorer that is slower than any engine."""

    go_on: asyncio.Event
    waiting: list[str] = field(default_factory=list)
    needs_logprobs: int | None = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        self.waiting.append(query.id)
        await self.go_on.wait()
        return np.ones(len(candidates))


async def test_a_slow_scorer_does_not_let_samples_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 queries of 4 samples of 10,000 characters: six queries are 240 kB."""
    monkeypatch.setattr(open_queries.OpenQueries.__init__, "__defaults__", (1024, 240_000))

    def long(request: Request) -> Reply:
        return Reply(tokens=("x" * 10_000,), logprobs=(-1.0,))

    scorer = WaitsForSignal(asyncio.Event())
    async with FakeBackend(script=long).open() as engine:
        pool = Pool([PooledEngine(name="e0", backend=engine, slots=8)])
        strategy = BestOfN(n=4, select=scorer)
        loop = Loop(strategy=strategy, pool=pool, store=MemoryStore())
        done: list[Answered] = []

        async def queries():  # type: ignore[no-untyped-def]
            for number in range(100):
                yield Query(id=f"q{number}", prompt="?")

        async with aclosing(queries()) as stream:
            answering = asyncio.create_task(loop.answer_all(stream, done.append))
            opened_before = -1
            while len(scorer.waiting) != opened_before:
                opened_before = len(scorer.waiting)
                for _ in range(200):
                    await asyncio.sleep(0)
            assert 1 <= len(scorer.waiting) <= 10
            scorer.go_on.set()
            await answering
    assert len(done) == 100
