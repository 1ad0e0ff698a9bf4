"""Groups of tasks, and drawing with them: order, the first failure, nothing that runs on."""

from __future__ import annotations

import asyncio

import pytest

from nbest.orchestrator.errors import EngineDead, RequestRejected
from nbest.orchestrator.query.fanout import draw
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.tasks import Once, task_group
from nbest.orchestrator.types import Sample

PARAMS = SamplingParams(max_tokens=3)


class HeldSampler:
    """A sampler whose samples end when the test says so."""

    def __init__(self, fails: dict[int, Exception] | None = None) -> None:
        self.fails = fails or {}
        self.gates: dict[int, asyncio.Event] = {}
        self.log: list[str] = []
        self._came = asyncio.Condition()

    async def __call__(self, index: int, params: SamplingParams) -> Sample:
        assert params is PARAMS
        gate = self.gates[index] = asyncio.Event()
        async with self._came:
            self._came.notify_all()
        try:
            await gate.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # cleaning up takes a while
            self.log.append(f"cancelled {index}")
            raise
        self.log.append(f"ended {index}")
        if index in self.fails:
            raise self.fails[index]
        return Sample(id=f"s{index}", text=str(index))

    async def abort(self, index: int) -> None:
        raise AssertionError("drawing aborts nothing")

    async def all_in_flight(self, count: int) -> None:
        async with self._came:
            await self._came.wait_for(lambda: len(self.gates) == count)


async def test_samples_come_in_the_order_of_their_indices_whoever_ends_first() -> None:
    held = HeldSampler()
    drawing = asyncio.create_task(draw(held, (4, 2, 7), PARAMS))
    await held.all_in_flight(3)
    for index in (7, 4, 2):
        held.gates[index].set()
        await asyncio.sleep(0)
    assert [sample.text for sample in await drawing] == ["4", "2", "7"]
    assert held.log == ["ended 7", "ended 4", "ended 2"]


async def test_all_are_in_flight_at_once() -> None:
    held = HeldSampler()
    drawing = asyncio.create_task(draw(held, range(500), PARAMS))
    await held.all_in_flight(500)
    for gate in held.gates.values():
        gate.set()
    assert len(await drawing) == 500


async def test_nothing_to_draw_is_nothing() -> None:
    assert await draw(HeldSampler(), (), PARAMS) == ()


async def test_the_first_failure_is_raised_bare_when_the_others_have_ended() -> None:
    failure = EngineDead("out of memory")
    held = HeldSampler(fails={1: failure})
    drawing = asyncio.create_task(draw(held, range(3), PARAMS))
    await held.all_in_flight(3)
    held.gates[1].set()
    with pytest.raises(EngineDead) as caught:
        await drawing
    assert caught.value is failure  # no exception group around it
    assert caught.value.__cause__ is None
    assert held.log[0] == "ended 1"
    assert sorted(held.log[1:]) == ["cancelled 0", "cancelled 2"]


async def test_of_two_failures_the_first_in_time_is_raised() -> None:
    held = HeldSampler(fails={0: RequestRejected("first index"), 1: EngineDead("first in time")})
    drawing = asyncio.create_task(draw(held, range(2), PARAMS))
    await held.all_in_flight(2)
    held.gates[1].set()
    held.gates[0].set()
    with pytest.raises(EngineDead, match="first in time"):
        await drawing


async def test_cancelling_the_caller_cancels_every_draw_and_waits_for_it() -> None:
    held = HeldSampler()
    drawing = asyncio.create_task(draw(held, range(3), PARAMS))
    await held.all_in_flight(3)
    drawing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drawing
    assert sorted(held.log) == ["cancelled 0", "cancelled 1", "cancelled 2"]


async def test_a_failure_in_the_body_of_the_group_ends_its_tasks() -> None:
    async def body() -> None:
        async with task_group() as group:
            group.create_task(held(0, PARAMS))
            await held.all_in_flight(1)
            raise ZeroDivisionError

    held = HeldSampler()
    with pytest.raises(ZeroDivisionError):
        await body()
    assert held.log == ["cancelled 0"]


async def test_a_failure_of_a_task_ends_the_body() -> None:
    async def body() -> None:
        async with task_group() as group:
            group.create_task(held(0, PARAMS))
            await held.all_in_flight(1)
            held.gates[0].set()
            await asyncio.Event().wait()  # for ever, but for the failure

    held = HeldSampler(fails={0: EngineDead("gone")})
    with pytest.raises(EngineDead, match="gone"):
        await body()


async def test_groups_inside_groups_still_raise_one_bare_failure() -> None:
    async def inner() -> None:
        async with task_group() as group:
            group.create_task(held(0, PARAMS))
            group.create_task(held(1, PARAMS))

    async def outer() -> None:
        async with task_group() as group:
            group.create_task(inner())
            await held.all_in_flight(2)
            held.gates[1].set()

    held = HeldSampler(fails={1: EngineDead("deep")})
    with pytest.raises(EngineDead, match="deep"):
        await outer()
    assert held.log == ["ended 1", "cancelled 0"]


async def test_what_is_wanted_by_many_is_made_once() -> None:
    made: list[str] = []
    may_end = asyncio.Event()

    async def make() -> str:
        made.append("value")
        await may_end.wait()
        return "value"

    once = Once[str, str]()
    wanted = [asyncio.create_task(once.get("key", make)) for _ in range(3)]
    await asyncio.sleep(0)
    may_end.set()
    assert await asyncio.gather(*wanted) == ["value"] * 3
    assert made == ["value"]


async def test_where_the_first_one_fails_or_leaves_the_next_one_makes_it() -> None:
    turns = iter([ValueError("broken"), None])

    async def make() -> str:
        await asyncio.sleep(0)
        error = next(turns)
        if error is not None:
            raise error
        return "value"

    once = Once[str, str]()
    first, second = (asyncio.create_task(once.get("key", make)) for _ in range(2))
    assert await second == "value"
    with pytest.raises(ValueError, match="broken"):
        await first

    async def for_ever() -> str:
        await asyncio.Event().wait()
        return "never"

    left = asyncio.create_task(once.get("other", for_ever))
    await asyncio.sleep(0)

    async def soon() -> str:
        return "soon"

    waits = asyncio.create_task(once.get("other", soon))
    await asyncio.sleep(0)
    left.cancel()
    assert await waits == "soon"
