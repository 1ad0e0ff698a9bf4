"""Tests of the driver's watch over an engine: what it sees, and a process that stops answering.

No Ray starts here: queues that the test fills stand for an actor. What the watch does to a
process that has hung is tested with real ones, in test_faults.py.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from nbest.orchestrator.engines.meter import Pulse

pytest.importorskip("ray")

from ray.exceptions import ActorDiedError, ActorUnavailableError

from nbest.orchestrator.cluster.engine.watch import EngineWatch


@dataclass
class Call:
    """A method of an actor, whose answers the test gives in turn."""

    answers: asyncio.Queue[object] = field(default_factory=asyncio.Queue)

    async def remote(self) -> object:
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Actor:
    life: Call = field(default_factory=Call)
    pulse: Call = field(default_factory=Call)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def until(watch: EngineWatch, state: str) -> None:
    """Wait for a state: the watch signals nothing, so poll; the test's timeout ends that."""
    while watch.view.state != state:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def watch_of(actor: Actor, stall_s: float = 60.0) -> EngineWatch:
    return EngineWatch("e0", cast("Any", actor), stall_s)


async def test_an_engine_is_starting_until_its_first_pulse() -> None:
    actor = Actor()
    watch = watch_of(actor)
    running = asyncio.create_task(watch.run())
    actor.life.answers.put_nowait("one")
    actor.pulse.answers.put_nowait(None)  # the model is being loaded
    await settle()
    assert watch.view.state == "starting"
    actor.pulse.answers.put_nowait(Pulse(life="one", samples=3))
    await watch.look()
    assert (watch.view.state, watch.view.samples) == ("up", 3)
    running.cancel()


async def test_an_engine_that_went_away_is_down_and_then_up_again() -> None:
    actor = Actor()
    watch = watch_of(actor)
    running = asyncio.create_task(watch.run())
    actor.life.answers.put_nowait("one")
    actor.pulse.answers.put_nowait(Pulse(life="one", samples=3))
    await settle()
    actor.pulse.answers.put_nowait(ActorUnavailableError("it is being started again", None))
    await until(watch, "down")
    assert (watch.view.state, watch.view.restarts) == ("down", 1)
    actor.life.answers.put_nowait("two")
    actor.pulse.answers.put_nowait(Pulse(life="two", samples=4))
    await until(watch, "up")
    assert (watch.view.restarts, watch.view.samples) == (1, 7)
    running.cancel()


async def test_nothing_more_is_expected_of_an_actor_that_has_died_for_good() -> None:
    actor = Actor()
    watch = watch_of(actor)
    actor.life.answers.put_nowait(ActorDiedError())
    await watch.run()
    assert watch.view.state == "starting"


async def test_a_process_that_ray_has_no_room_for_is_waited_for() -> None:
    watch = watch_of(Actor(), stall_s=0.01)
    waiting = asyncio.create_task(watch._reach())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.parametrize("is_early", [True, False], ids=["before the watch waits", "meanwhile"])
async def test_a_process_that_a_worker_has_reached_has_to_answer(is_early: bool) -> None:
    """The process stopped between the worker's call and ours."""
    watch = watch_of(Actor(), stall_s=0.01)
    if is_early:
        watch.served("one")
    waiting = asyncio.create_task(watch._reach())
    await settle()
    if not is_early:
        watch.served("one")
    with pytest.raises(TimeoutError):
        await waiting
