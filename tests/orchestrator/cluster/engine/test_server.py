"""Tests of the actor around an engine as a plain object: no Ray starts here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from nbest import FakeBackend, ManualClock, Reply
from nbest.model_backend.fake.engine import FakeEngine
from nbest.orchestrator.cluster.engine.wire import pack_requests, unpack_results
from nbest.orchestrator.engines.batches import Done, generate_one_by_one
from nbest.orchestrator.errors import (
    BackendError,
    EngineDead,
    InputError,
    NotBegun,
    RequestRejected,
)
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Request, Sample, Status

pytest.importorskip("ray")

from nbest.orchestrator.cluster.engine.server import EngineServer


def request(name: str, max_tokens: int = 8) -> Request:
    return Request(id=name, prompt="?", params=SamplingParams(max_tokens=max_tokens), seed=1)


async def settle() -> None:
    """Let every task that can go on go on."""
    for _ in range(50):
        await asyncio.sleep(0)


class Rig:
    """A server over a fake engine whose time the test lets pass."""

    def __init__(self, script: Callable[[Request], Reply] | None = None) -> None:
        self.clock = ManualClock()
        self.status: int | None = None  # of the process, once it has ended
        self.ended = asyncio.Event()
        self.names: list[str] = []  # that the engine was started under
        self.stops = 0
        self.engine = FakeEngine(FakeBackend(script=script or _says, clock=self.clock))
        self.server = EngineServer(cast("Any", self), "e0", leave=self._leave)

    def _leave(self, status: int) -> None:
        self.status = status
        self.ended.set()

    @asynccontextmanager
    async def open(self, name: str = "") -> AsyncIterator[FakeEngine]:
        self.names.append(name)
        await asyncio.sleep(0)
        yield self.engine
        self.stops += 1

    # Only these two methods know how requests and samples are packed.

    async def submit(self, life: str, client: str, *names: str) -> None:
        packed = pack_requests([request(name) for name in names])
        await self.server.submit(life, client, packed)

    async def collect(self, life: str, client: str) -> dict[str, Sample | BackendError]:
        return dict(unpack_results(await self.server.collect(life, client)))


def _says(request: Request) -> Reply:
    return Reply(tokens=(f"answer to {request.id}",), token_s=1.0)


async def test_many_calls_to_start_start_one_engine() -> None:
    rig = Rig()
    names = await asyncio.gather(*(rig.server.ready() for _ in range(5)))
    assert len(set(names)) == 1
    assert rig.names == ["e0"]


async def test_two_lives_have_two_names() -> None:
    assert await Rig().server.ready() != await Rig().server.ready()


async def test_an_engine_that_did_not_start_may_start_later() -> None:
    class Flaky(Rig):
        @asynccontextmanager
        async def open(self, name: str = "") -> AsyncIterator[FakeEngine]:
            self.names.append(name)
            if len(self.names) == 1:
                raise InputError("model must be there, got 'nowhere'")
            yield self.engine

    rig = Flaky()
    with pytest.raises(InputError, match="got 'nowhere'"):
        await rig.server.ready()
    assert await rig.server.ready()
    assert len(rig.names) == 2


async def test_one_call_brings_many_requests_and_one_call_takes_many_samples() -> None:
    rig = Rig()
    life = await rig.server.ready()
    names = [f"r{i}" for i in range(300)]
    await rig.submit(life, "w", *names)
    await settle()
    assert rig.engine.in_flight == tuple(names)
    rig.clock.advance(1.0)
    assert texts(await rig.collect(life, "w")) == {name: f"answer to {name}" for name in names}


def texts(finished: dict[str, Sample | BackendError]) -> dict[str, str]:
    return {name: s.text for name, s in finished.items() if isinstance(s, Sample)}


async def test_each_client_gets_its_own_and_gets_it_once() -> None:
    rig = Rig()
    life = await rig.server.ready()
    for client in ("one", "two"):
        await rig.submit(life, client, f"{client}/0", f"{client}/1")
    await settle()
    rig.clock.advance(1.0)
    for client in ("two", "one"):
        assert list(await rig.collect(life, client)) == [f"{client}/0", f"{client}/1"]
    waiting = asyncio.create_task(rig.collect(life, "one"))
    await settle()
    assert not waiting.done()  # nothing is left to take
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_client_that_came_back_gets_what_its_former_life_waits_for() -> None:
    """A worker that died leaves a call behind, whose answer would reach nobody."""
    rig = Rig()
    life = await rig.server.ready()
    orphan = asyncio.create_task(rig.collect(life, "w"))
    await settle()
    await rig.submit(life, "w", "r")
    collecting = asyncio.create_task(rig.collect(life, "w"))
    await settle()
    rig.clock.advance(1.0)
    assert list(await collecting) == ["r"]
    assert await orphan == {}


@pytest.mark.parametrize("life", ["", "another"])
async def test_another_life_is_told_that_its_engine_is_gone(life: str) -> None:
    rig = Rig()
    await rig.server.ready()
    with pytest.raises(EngineDead, match="restarted since"):
        await rig.submit(life, "w", "r")
    with pytest.raises(EngineDead, match="restarted since"):
        await rig.collect(life, "w")
    assert rig.engine.in_flight == ()


async def test_an_engine_that_has_not_started_serves_nobody() -> None:
    rig = Rig()
    with pytest.raises(EngineDead, match="restarted since"):
        await rig.submit("", "w", "r")
    await rig.server.abort(["r"])  # there is nothing to abort
    await rig.server.close()
    assert (rig.names, rig.stops) == ([], 0)


async def test_aborts_travel_together_and_reach_the_engine() -> None:
    rig = Rig()
    life = await rig.server.ready()
    await rig.submit(life, "w", "r0", "r1", "r2")
    await settle()
    await rig.server.abort(["r0", "r2"])
    await settle()
    assert rig.engine.in_flight == ("r1",)
    finished = await rig.collect(life, "w")
    statuses = {name: s.status for name, s in finished.items() if isinstance(s, Sample)}
    assert statuses == {"r0": Status.CANCELLED, "r2": Status.CANCELLED}


async def test_closing_leaves_nothing_running() -> None:
    rig = Rig()
    life = await rig.server.ready()
    await rig.submit(life, "w", "r")
    await settle()
    await rig.server.close()
    await settle()
    assert rig.engine.in_flight == ()
    assert rig.stops == 1


async def outcome_of(error: Exception) -> tuple[Sample | BackendError, Rig]:
    """Return what a client gets when the engine raises this."""

    class Broken(FakeEngine):
        async def generate(self, request: Request) -> Sample:
            raise error

        async def generate_many(self, requests: Sequence[Request], done: Done) -> None:
            await generate_one_by_one(self, requests, done)

    rig = Rig()
    rig.engine = Broken(FakeBackend(script=_says))
    life = await rig.server.ready()
    await rig.submit(life, "w", "r")
    finished = await rig.collect(life, "w")
    assert list(finished) == ["r"]
    return finished["r"], rig


@pytest.mark.parametrize("error", [RequestRejected("too long"), BackendError("odd")], ids=repr)
async def test_a_failure_is_data_and_keeps_its_type(error: BackendError) -> None:
    result, rig = await outcome_of(error)
    assert (type(result), str(result)) == (type(error), str(error))
    assert rig.status is None


async def test_a_backend_that_raises_something_odd_has_failed() -> None:
    result, rig = await outcome_of(KeyError("weights"))
    assert type(result) is BackendError
    assert str(result) == "KeyError: 'weights'"
    assert rig.status is None


async def test_the_process_ends_after_the_death_of_its_engine() -> None:
    """But not before its clients could hear of it; then Ray starts another one."""
    result, rig = await outcome_of(EngineDead("core died"))
    assert isinstance(result, EngineDead)
    assert rig.status is None
    await rig.ended.wait()
    assert rig.status == 1


async def test_an_engine_that_has_died_is_not_ready() -> None:
    """Otherwise clients would go on with it, and reach their limit of deaths."""
    _, rig = await outcome_of(EngineDead("core died"))
    ready = asyncio.create_task(rig.server.ready())
    await rig.ended.wait()
    assert not ready.done()
    ready.cancel()
    await asyncio.gather(ready, return_exceptions=True)


async def test_who_reserves_the_engine_has_it_when_the_others_have_ended() -> None:
    rig = Rig()
    life = await rig.server.ready()
    await rig.submit(life, "other", "before")
    reserving = asyncio.create_task(rig.server.reserve(life, "w"))
    await settle()
    assert not reserving.done()
    await rig.submit(life, "other", "meanwhile")
    rig.clock.advance(1.0)
    await reserving
    await rig.submit(life, "w", "suspect")
    await settle()
    assert rig.engine.in_flight == ("suspect",)
    rig.clock.advance(1.0)
    await rig.server.release("w")
    await settle()
    assert rig.engine.in_flight == ("meanwhile",)


async def test_what_was_shut_out_when_the_engine_died_had_not_begun() -> None:
    def script(request: Request) -> Reply:
        return Reply(tokens=(), token_s=0.0, error=EngineDead("core died"))

    rig = Rig(script)
    life = await rig.server.ready()
    await rig.server.reserve(life, "w")
    await rig.submit(life, "other", "waits")
    await rig.submit(life, "w", "suspect")
    assert type((await rig.collect(life, "w"))["suspect"]) is EngineDead
    assert type((await rig.collect(life, "other"))["waits"]) is NotBegun


async def test_only_its_holder_can_release_the_engine() -> None:
    rig = Rig()
    life = await rig.server.ready()
    await rig.server.reserve(life, "w")
    await rig.server.release("other")
    await rig.submit(life, "other", "r")
    await settle()
    assert rig.engine.in_flight == ()


async def test_the_pulse_counts_what_passes_through() -> None:
    rig = Rig()
    assert await rig.server.pulse() is None  # it has not started
    life = await rig.server.ready()
    await rig.submit(life, "w", "a", "b")
    await settle()
    pulse = await rig.server.pulse()
    assert pulse is not None
    assert (pulse.life, pulse.in_flight, pulse.samples) == (life, 2, 0)
    await rig.server.abort(["b"])
    await settle()
    rig.clock.advance(1.0)
    await settle()
    pulse = await rig.server.pulse()
    assert pulse is not None
    assert (pulse.in_flight, pulse.samples) == (0, 2)
    assert (pulse.generated_tokens, pulse.cancelled_tokens) == (1, 0)


async def test_a_reservation_waits_for_what_was_sent_in_the_same_moment() -> None:
    """Otherwise a query would be probed beside another one, and blamed for what that does."""
    rig = Rig()
    life = await rig.server.ready()
    await rig.submit(life, "other", "sent")  # no task of it has run yet
    reserving = asyncio.create_task(rig.server.reserve(life, "w"))
    await settle()
    assert not reserving.done()
    rig.clock.advance(1.0)
    await reserving
