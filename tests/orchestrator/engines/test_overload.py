"""Engines that are full: they rest, longer each time, and no request is lost over it."""

from __future__ import annotations

import asyncio

import pytest

from nbest.orchestrator.engines.pool import FIRST_REST_S, LONGEST_REST_S, MAX_RESTS, Pool
from nbest.orchestrator.engines.pool_engine import PooledEngine
from nbest.orchestrator.errors import Overloaded
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Request, Sample


class FullEngine:
    """An engine that refuses its first requests."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.calls = 0

    async def generate(self, request: Request) -> Sample:
        self.calls += 1
        if self.refusals:
            self.refusals -= 1
            raise Overloaded("the queue is full")
        return Sample(id=request.id, text="fine")

    async def abort(self, request_id: str) -> None:
        raise AssertionError("nothing is ever in flight here")


class Pauses:
    """Notes how long each rest should be; all rests end when the test sets `over`."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.over = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await self.over.wait()


def request(name: str) -> Request:
    return Request(id=f"run/{name}/s0", prompt="", params=SamplingParams(), seed=1)


def pool_of(engines: list[FullEngine], pauses: Pauses) -> Pool:
    return Pool(
        [PooledEngine(name=f"e{i}", backend=e, slots=8) for i, e in enumerate(engines)],
        pause=pauses,
    )


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_full_engine_rests_longer_each_time_until_it_takes_something() -> None:
    pauses = Pauses()
    pauses.over.set()
    pool = pool_of([FullEngine(refusals=4)], pauses)
    assert (await pool.generate(request("q"))).text == "fine"
    assert pauses.seconds == [FIRST_REST_S * 2**k for k in range(4)]
    await pool.generate(request("r"))
    assert len(pauses.seconds) == 4


async def test_a_request_goes_to_another_engine_while_one_rests() -> None:
    full, free, pauses = FullEngine(refusals=1), FullEngine(refusals=0), Pauses()
    pool = pool_of([full, free], pauses)
    samples = await asyncio.gather(*(pool.generate(request(f"q{i}")) for i in range(5)))
    assert {sample.text for sample in samples} == {"fine"}
    assert full.calls == 1  # nothing more while it rests
    pauses.over.set()
    await settle()
    await asyncio.gather(*(pool.generate(request(f"r{i}")) for i in range(4)))
    assert full.calls > 1


async def test_many_refusals_at_once_are_one_rest() -> None:
    full, pauses = FullEngine(refusals=8), Pauses()
    pool = pool_of([full], pauses)
    tasks = [asyncio.create_task(pool.generate(request(f"q{i}"))) for i in range(8)]
    await settle()
    assert len(pauses.seconds) == 1
    pauses.over.set()
    assert {(await task).text for task in tasks} == {"fine"}


async def test_an_engine_that_is_always_full_is_an_error_in_the_end() -> None:
    pauses = Pauses()
    pauses.over.set()
    pool = pool_of([FullEngine(refusals=10**6)], pauses)
    with pytest.raises(Overloaded, match="the queue is full"):
        await pool.generate(request("q"))
    assert len(pauses.seconds) == MAX_RESTS
    assert max(pauses.seconds) <= LONGEST_REST_S
    assert 60 < sum(pauses.seconds) < 300  # neither impatient nor for ever


async def test_no_query_is_suspected_of_an_overload() -> None:
    pauses = Pauses()
    pauses.over.set()
    engine = FullEngine(refusals=3)
    pool = pool_of([engine], pauses)
    await asyncio.gather(*(pool.generate(request(f"q{i}")) for i in range(3)))
    assert pool.engines_up == 1
    assert pool.regenerated_tokens == 0
