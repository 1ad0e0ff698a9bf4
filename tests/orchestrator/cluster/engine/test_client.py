"""Tests of a worker's client of an engine: calls of many requests, and what can go wrong.

No Ray starts here. `FakeActor` stands for the actor: its methods have `.remote`, run in this
process, and raise what Ray makes of an exception on the other side.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from nbest import FakeBackend, ManualClock, Reply
from nbest.model_backend.fake.engine import FakeEngine
from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.engines.pool_engine import PooledEngine
from nbest.orchestrator.errors import EngineDead, InputError, NotBegun, RequestRejected
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Request, Sample, Status

pytest.importorskip("ray")

from ray.exceptions import ActorUnavailableError, RayError, RayTaskError

from nbest.orchestrator.cluster.engine.client import RemoteEngine, cause_of
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
        self.engine = FakeEngine(FakeBackend(script=script or _says, clock=self.clock))
        self.server = EngineServer(cast("Any", self), "e0", leave=self._leave)

    def _leave(self, status: int) -> None:
        self.status = status
        self.ended.set()

    @asynccontextmanager
    async def open(self, name: str = "") -> AsyncIterator[FakeEngine]:
        yield self.engine


def _says(request: Request) -> Reply:
    return Reply(tokens=(f"answer to {request.id}",), token_s=1.0)


@dataclass(slots=True)
class Method:
    """One method of the stand-in, called as Ray's are."""

    actor: FakeActor
    name: str

    def remote(self, *args: object) -> Awaitable[Any]:
        return self.actor.call(self.name, args)


@dataclass(slots=True)
class FakeActor:
    """Stands for an actor: notes every call, and fails those that it is told to fail.

    A call that waits when the process ends comes back as `unavailable`, as from Ray.
    """

    rig: Rig
    calls: list[tuple[str, tuple[object, ...]]] = field(default_factory=list)
    fails: dict[str, list[RayError]] = field(default_factory=dict)  # by method, in order

    def __getattr__(self, name: str) -> Method:
        return Method(self, name)

    async def call(self, name: str, args: tuple[object, ...]) -> object:
        self.calls.append((name, args))
        if self.fails.get(name):
            raise self.fails[name].pop(0)
        ending = asyncio.ensure_future(self.rig.ended.wait())
        working = asyncio.ensure_future(getattr(self.rig.server, name)(*args))
        await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ActorUnavailableError("the process has ended", None)
        ending.cancel()
        if (error := working.exception()) is not None:
            raise RayTaskError(name, "a remote traceback", error).as_instanceof_cause()
        return working.result()

    def count(self, name: str) -> int:
        return sum(called == name for called, _ in self.calls)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Both sides, joined."""

    rig: Rig
    actor: FakeActor
    remote: RemoteEngine

    def send(self, *names: str) -> list[asyncio.Task[Sample]]:
        return [asyncio.create_task(self.remote.generate(request(name))) for name in names]


async def pair(
    rig: Rig | None = None, fails: Mapping[str, Sequence[RayError]] | None = None
) -> Pair:
    rig = rig or Rig()
    actor = FakeActor(rig, fails={name: list(errors) for name, errors in (fails or {}).items()})
    remote = RemoteEngine(cast("Any", actor), "w")
    await remote.revive()
    return Pair(rig=rig, actor=actor, remote=remote)


async def test_requests_of_one_moment_travel_in_one_call() -> None:
    both = await pair()
    tasks = both.send(*(f"r{i}" for i in range(200)))
    await settle()
    assert both.actor.count("submit") == 1
    both.rig.clock.advance(1.0)
    samples = await asyncio.gather(*tasks)
    assert [s.text for s in samples] == [f"answer to r{i}" for i in range(200)]
    assert both.actor.count("collect") == 1


async def test_requests_that_come_later_are_sent_without_waiting_for_the_first() -> None:
    both = await pair()
    first = both.send("a")
    await settle()
    second = both.send("b")
    await settle()
    assert both.rig.engine.in_flight == ("a", "b")
    both.rig.clock.advance(1.0)
    assert [s.id for s in await asyncio.gather(*first, *second)] == ["a", "b"]


async def test_an_abort_returns_the_partial_sample() -> None:
    both = await pair()
    kept, dropped = both.send("kept", "dropped")
    await settle()
    await both.remote.abort("dropped")
    assert (await dropped).status is Status.CANCELLED
    both.rig.clock.advance(1.0)
    assert (await kept).status is Status.OK


@pytest.mark.parametrize("is_before", [True, False], ids=["before", "in the same moment"])
async def test_an_abort_overtakes_a_request_that_has_not_left(is_before: bool) -> None:
    """So the engine never begins it, however fast it is."""
    both = await pair()
    if is_before:
        await both.remote.abort("r")
    (sending,) = both.send("r")
    if not is_before:
        await asyncio.sleep(0)
        await both.remote.abort("r")
    sample = await sending
    assert (sample.status, sample.generated_tokens) == (Status.CANCELLED, 0)
    calls = [name for name, _ in both.actor.calls if name != "collect"]
    assert calls == ["life", "ready", "abort", "submit"]


async def test_what_waits_behind_an_abort_that_dies_has_not_begun() -> None:
    """It cannot have killed the engine, so nobody suspects it."""
    both = await pair(fails={"abort": [ActorUnavailableError("gone", None)]})
    (sending,) = both.send("r")
    await asyncio.sleep(0)
    await both.remote.abort("other")
    with pytest.raises(NotBegun):
        await sending


async def test_cancelling_reaches_the_engine() -> None:
    both = await pair()
    kept, dropped = both.send("kept", "dropped")
    await settle()
    dropped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dropped
    await settle()
    assert both.rig.engine.in_flight == ("kept",)
    both.rig.clock.advance(1.0)
    assert (await kept).status is Status.OK  # and nobody minds what comes back of the other


async def test_a_rejected_request_is_its_own_error_alone() -> None:
    def script(request: Request) -> Reply:
        error = RequestRejected("too long") if request.id == "bad" else None
        return Reply(tokens=("7",), error=error)

    both = await pair(Rig(script))
    bad, good = both.send("bad", "good")
    with pytest.raises(RequestRejected, match="too long"):
        await bad
    assert (await good).text == "7"


async def test_the_death_of_the_engine_reaches_everybody_who_waits() -> None:
    gone = RayError("The actor died.\nA long traceback.")
    both = await pair(fails={"collect": [gone]})
    for failed in await asyncio.gather(*both.send("a", "b"), return_exceptions=True):
        assert isinstance(failed, EngineDead)
        assert str(failed) == "The actor died."


async def test_what_cannot_be_sent_has_failed_and_is_not_sent_again() -> None:
    both = await pair(fails={"submit": [ActorUnavailableError("not now", None)]})
    (failed,) = await asyncio.gather(*both.send("a"), return_exceptions=True)
    assert isinstance(failed, EngineDead)
    again = both.send("b")
    await settle()
    assert both.rig.engine.in_flight == ("b",)
    both.rig.clock.advance(1.0)
    await asyncio.gather(*again)


async def test_requests_for_a_former_life_fail_and_reviving_joins_the_next_one() -> None:
    both = await pair()
    both.actor.rig = after = Rig()  # Ray has started it again
    await after.server.ready()
    (failed,) = await asyncio.gather(*both.send("a"), return_exceptions=True)
    assert isinstance(failed, EngineDead)
    assert str(failed) == "the engine has been restarted since"
    await both.remote.revive()
    again = both.send("a")
    await settle()
    assert after.engine.in_flight == ("a",)
    after.clock.advance(1.0)
    assert (await again[0]).status is Status.OK


async def test_reviving_waits_while_the_actor_is_unavailable() -> None:
    both = await pair(fails={"ready": [ActorUnavailableError("starting", None)]})
    assert both.actor.count("ready") == 2
    task = both.send("a")
    await settle()
    both.rig.clock.advance(1.0)
    assert (await task[0]).status is Status.OK


async def test_an_engine_that_will_never_serve_is_dead() -> None:
    with pytest.raises(EngineDead, match=r"^The actor is dead\.$"):
        await pair(fails={"ready": [RayError("The actor is dead.\nmore")]})


async def test_a_core_that_dies_once_costs_one_death_and_no_sample() -> None:
    """The requests that were in flight are answered by the next life of the only engine."""
    before = Rig(lambda _: Reply(tokens=(), error=EngineDead("core died")))
    after = Rig(lambda request: Reply(tokens=(request.id,)))
    both = await pair(before)
    engine = PooledEngine(name="e0", backend=both.remote, slots=4, revive=both.remote.revive)
    pool = Pool([engine])
    tasks = [asyncio.create_task(pool.generate(request(f"r{i}"))) for i in range(8)]
    await before.ended.wait()
    both.actor.rig = after
    assert [s.text for s in await asyncio.gather(*tasks)] == [f"r{i}" for i in range(8)]
    assert engine.is_up


async def test_ten_thousand_early_stops_leave_nothing_behind() -> None:
    """In flight or still waiting: all come back cancelled, and nobody remembers them (R10)."""
    both = await pair()
    engine = PooledEngine(name="e0", backend=both.remote, slots=200, revive=both.remote.revive)
    pool = Pool([engine])
    ids = [f"run/q{i % 50}/s{i}" for i in range(10_000)]
    tasks = [asyncio.create_task(pool.generate(request(i))) for i in ids]
    await settle()
    assert len(both.rig.engine.in_flight) == 200
    await asyncio.gather(*(pool.abort(i) for i in reversed(ids)))
    samples = await asyncio.gather(*tasks)
    assert {sample.status for sample in samples} == {Status.CANCELLED}
    await settle()
    assert both.rig.engine.in_flight == ()
    assert not engine.in_flight
    assert not both.remote._pending
    assert not both.rig.server._tasks
    assert not both.rig.server._finished.get("w")
    await pool.room()
    after = asyncio.create_task(pool.generate(request("run/q/after")))
    await settle()
    both.rig.clock.advance(1.0)
    assert (await after).status is Status.OK


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RayError("one\ntwo"), "one"),
        (RayError("  "), "RayError"),
        (RayTaskError("f", "a long traceback", InputError("n must be 1")), "n must be 1"),
        (RayTaskError("f", "a long traceback", KeyError()), "KeyError"),
    ],
)
def test_the_cause_is_one_line_without_a_traceback(error: RayError, line: str) -> None:
    assert cause_of(error) == line
