"""The clocks of fake backends: time that a test lets pass, and the event loop's own."""

from __future__ import annotations

import asyncio

import pytest

from nbest import LoopClock, ManualClock
from nbest.model_backend.fake.clocks import VirtualTime


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_time_passes_only_when_it_is_told_to() -> None:
    clock = ManualClock()
    sleeping = asyncio.create_task(clock.sleep(2.0))
    await settle()
    clock.advance(1.9)
    await settle()
    assert (sleeping.done(), clock.now()) == (False, 1.9)
    clock.advance(0.1)
    await sleeping
    assert clock.now() == 2.0


async def test_sleepers_wake_by_their_time_and_then_by_their_turn() -> None:
    clock = ManualClock()
    wake_order: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        wake_order.append(name)

    tasks = [
        asyncio.create_task(sleeper(name, seconds))
        for name, seconds in (("late", 3.0), ("first", 1.0), ("second", 1.0), ("never", 9.0))
    ]
    await settle()
    tasks[1].cancel()
    await settle()
    clock.advance(5.0)
    await settle()
    assert wake_order == ["second", "late"]
    tasks[3].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_loops_clock_is_the_loops() -> None:
    clock = LoopClock()
    before_s = clock.now()
    await clock.sleep(0.01)
    assert clock.now() - before_s >= 0.009
    assert clock.now() == pytest.approx(asyncio.get_running_loop().time(), abs=1.0)


def test_virtual_time_jumps_to_the_next_timer_and_no_further() -> None:
    log: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await LoopClock().sleep(seconds)
        log.append((name, LoopClock().now()))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600.0):
                await asyncio.gather(sleeper("day", 86400.0), sleeper("a", 2.5), sleeper("b", 2.5))
        log.append(("timeout", LoopClock().now()))

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        runner.run(main())
    assert log == [("a", 2.5), ("b", 2.5), ("timeout", 3600.0)]


def test_virtual_time_says_so_when_nothing_can_ever_happen() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with (
        asyncio.Runner(loop_factory=VirtualTime) as runner,
        pytest.raises(AssertionError, match="no timer is set"),
    ):
        runner.run(main())
