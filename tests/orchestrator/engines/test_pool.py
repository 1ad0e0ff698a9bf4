"""The pool: bounded work in flight, fair turns, spreading, prefixes, deaths.

Engines here are scripts held open by events; nothing sleeps.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from nbest.model_backend.fake.clocks import ManualClock
from nbest.model_backend.fake.engine import FakeBackend, FakeEngine
from nbest.model_backend.fake.script import Reply
from nbest.orchestrator.engines.pool import MAX_DEATHS, Pool
from nbest.orchestrator.engines.pool_engine import PooledEngine, slots_for
from nbest.orchestrator.errors import EngineDead, Quarantined
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Request, Sample, Status


def request(name: str, affinity: str = "") -> Request:
    return Request(id=name, prompt="", params=SamplingParams(), seed=1, affinity=affinity)


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


class Bench:
    """A pool over fake engines whose time the test lets pass."""

    def __init__(self, num_engines: int, slots: int) -> None:
        self.clock = ManualClock()
        backend = FakeBackend(script=lambda _: Reply(tokens=("a",), token_s=1.0), clock=self.clock)
        self.engines = [FakeEngine(backend, f"e{i}") for i in range(num_engines)]
        self.pool = Pool(
            [
                PooledEngine(name=f"e{i}", backend=engine, slots=slots)
                for i, engine in enumerate(self.engines)
            ]
        )

    def send(self, name: str, affinity: str = "") -> asyncio.Task[Sample]:
        return asyncio.create_task(self.pool.generate(request(name, affinity)))

    @property
    def loads(self) -> list[int]:
        return [len(engine.in_flight) for engine in self.engines]

    async def tick(self) -> None:
        await settle()
        self.clock.advance(1.0)
        await settle()


def test_slots_leave_headroom_over_what_an_engine_works_on() -> None:
    assert slots_for(128) == 141
    assert slots_for(1) == 2


async def test_no_engine_has_more_in_flight_than_its_slots() -> None:
    bench = Bench(num_engines=2, slots=3)
    tasks = [bench.send(f"r{i}") for i in range(20)]
    for _ in range(10):
        await settle()
        assert max(bench.loads) <= 3
        bench.clock.advance(1.0)
    assert [s.id for s in await asyncio.gather(*tasks)] == [f"r{i}" for i in range(20)]


async def test_one_query_spreads_over_idle_engines() -> None:
    bench = Bench(num_engines=4, slots=100)
    tasks = [bench.send(f"r{i}", affinity="q1") for i in range(200)]
    await settle()
    assert bench.loads == [50, 50, 50, 50]
    await bench.tick()
    assert Counter(s.engine for s in await asyncio.gather(*tasks)) == {
        f"e{i}": 50 for i in range(4)
    }


async def test_a_prefix_goes_home_when_all_engines_are_busy() -> None:
    bench = Bench(num_engines=2, slots=10)
    home = await _home_of(bench, "q1")
    filling = [bench.send(f"f{i}", affinity=f"other{i}") for i in range(12)]  # six each: busy
    await settle()
    tasks = [bench.send(f"s{i}", affinity="q1") for i in range(2)]
    await settle()
    await bench.tick()
    assert {s.engine for s in await asyncio.gather(*tasks)} == {home}
    await asyncio.gather(*filling)


async def _home_of(bench: Bench, affinity: str) -> str:
    first = bench.send("first", affinity=affinity)
    await bench.tick()
    return (await first).engine


async def test_turns_are_first_come_first_served() -> None:
    bench = Bench(num_engines=1, slots=1)
    order: list[str] = []
    tasks = [bench.send(f"r{i}") for i in range(5)]
    for task in tasks:
        task.add_done_callback(lambda done: order.append(done.result().id))
    for _ in range(5):
        await bench.tick()
    assert order == [f"r{i}" for i in range(5)]


async def test_room_is_there_until_somebody_waits() -> None:
    bench = Bench(num_engines=1, slots=2)
    tasks = [bench.send(f"r{i}") for i in range(2)]
    await settle()
    await bench.pool.room()  # both are in flight, nobody waits
    tasks.append(bench.send("r2"))
    await settle()
    room = asyncio.create_task(bench.pool.room())
    await settle()
    assert not room.done()
    await bench.tick()
    assert room.done()
    await bench.tick()
    await asyncio.gather(*tasks)


async def test_a_cancelled_waiter_gives_its_turn_away() -> None:
    """The slot of a cancelled waiter is never lost: later requests still get through."""
    bench = Bench(num_engines=1, slots=1)
    first = bench.send("first")
    waiting = [bench.send(f"w{i}") for i in range(50)]
    await settle()
    for task in waiting:
        task.cancel()
    last = bench.send("last")
    await bench.tick()
    await bench.tick()
    assert (await first).id == "first"
    assert (await last).id == "last"
    assert bench.loads == [0]


async def test_a_waiter_cancelled_as_it_is_served_returns_the_slot() -> None:
    bench = Bench(num_engines=1, slots=1)
    first, second = bench.send("first"), bench.send("second")
    await settle()
    bench.clock.advance(1.0)
    await first  # its slot has just been handed to `second`, which has not run yet
    second.cancel()
    third = bench.send("third")
    await bench.tick()
    assert (await third).id == "third"


async def test_abort_of_a_waiting_request_costs_nothing() -> None:
    bench = Bench(num_engines=1, slots=1)
    first, second = bench.send("first"), bench.send("second")
    await settle()
    await bench.pool.abort("second")
    assert (await second).status is Status.CANCELLED
    assert bench.loads == [1]
    await bench.tick()
    assert (await first).status is Status.OK


class Mortal:
    """An engine that dies on some requests and can be revived."""

    def __init__(self, deadly: set[str]) -> None:
        self.deadly = deadly
        self.revived = 0
        self.may_revive = asyncio.Event()

    async def generate(self, request: Request) -> Sample:
        if request.id in self.deadly:
            raise EngineDead(f"killed by {request.id}")
        return Sample(id=request.id, text="alive")

    async def abort(self, request_id: str) -> None:
        raise AssertionError(f"nothing is ever in flight here, and yet {request_id} is aborted")

    async def revive(self) -> None:
        await self.may_revive.wait()
        self.revived += 1


def pooled(engine: Mortal, name: str = "m", **settings: bool) -> PooledEngine:
    return PooledEngine(name=name, backend=engine, slots=4, revive=engine.revive, **settings)


async def test_requests_wait_while_the_engine_comes_back() -> None:
    engine = Mortal(deadly=set())
    pool = Pool([pooled(engine, is_up=False)])
    sampling = asyncio.create_task(pool.generate(request("r")))
    await settle()
    assert (sampling.done(), pool.engines_up) == (False, 0)
    engine.may_revive.set()
    assert (await sampling).text == "alive"
    assert pool.engines_up == 1


async def test_a_request_that_kills_engines_is_quarantined_and_the_others_go_on() -> None:
    engines = [Mortal(deadly={"poison"}) for _ in range(3)]
    for engine in engines:
        engine.may_revive.set()
    pool = Pool([pooled(engine, f"m{i}") for i, engine in enumerate(engines)])
    with pytest.raises(
        Quarantined, match=r"killed its engine twice .* alone there: killed by poison"
    ):
        await pool.generate(request("poison"))
    assert (await pool.generate(request("fine"))).text == "alive"
    await settle()
    assert pool.engines_up == 3
    assert sum(engine.revived for engine in engines) == 3


async def test_an_engine_that_only_dies_is_not_revived_for_ever() -> None:
    engine = Mortal(deadly={f"r{i}" for i in range(MAX_DEATHS)})
    engine.may_revive.set()
    pool = Pool([pooled(engine)])
    tasks = [asyncio.create_task(pool.generate(request(f"r{i}"))) for i in range(MAX_DEATHS)]
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert any(type(end) is EngineDead for end in ends)
    assert engine.revived == MAX_DEATHS - 1
    with pytest.raises(EngineDead, match="killed by r"):
        await pool.generate(request("later"))


async def test_the_last_death_fails_requests_that_wait() -> None:
    bench = Bench(num_engines=1, slots=1)
    engine = bench.pool._engines[0]
    first, second = bench.send("first"), bench.send("second")
    await settle()
    bench.pool._note_death(engine, EngineDead("gone"))
    with pytest.raises(EngineDead, match="gone"):
        await second
    await bench.tick()
    assert (await first).status is Status.OK


async def test_an_engine_that_never_starts_fails_the_pool() -> None:
    async def never() -> None:
        raise EngineDead("no such model")

    pool = Pool([PooledEngine(name="e", backend=Mortal(set()), slots=1, revive=never, is_up=False)])
    with pytest.raises(EngineDead, match="no such model"):
        await pool.generate(request("r"))
