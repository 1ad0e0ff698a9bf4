"""Fewer at once after a refusal, more after successes, none before the time that was asked for."""

from __future__ import annotations

import asyncio

from nbest.model_backend.openai.throttle import Throttle


class Time:
    """A clock that only pauses move on."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.paused: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.now_s += seconds


def throttle(most: int) -> tuple[Throttle, Time]:
    time = Time()
    return Throttle(most, time, time.pause), time


async def test_no_more_than_the_limit_are_under_way() -> None:
    gate, _ = throttle(2)
    under_way = most = 0
    go_on, are_two = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        nonlocal under_way, most
        async with gate.place():
            under_way += 1
            most = max(most, under_way)
            if most == 2:
                are_two.set()
            await go_on.wait()
            under_way -= 1

    tasks = [asyncio.ensure_future(work()) for _ in range(5)]
    await are_two.wait()
    go_on.set()
    await asyncio.gather(*tasks)
    assert most == 2


async def test_one_that_is_cancelled_while_it_waits_keeps_no_place() -> None:
    gate, _ = throttle(1)

    async def hold() -> None:
        async with gate.place():
            await asyncio.Event().wait()

    first = asyncio.ensure_future(hold())
    second = asyncio.ensure_future(hold())
    await asyncio.sleep(0)
    second.cancel()
    first.cancel()
    await asyncio.wait([first, second])
    async with gate.place():
        pass  # there is room again


async def test_the_server_says_how_long_to_wait() -> None:
    gate, time = throttle(4)
    gate.refused(0.0, 7.0)
    async with gate.place():
        assert time.paused == [7.0]


async def test_waits_grow_where_it_does_not_say() -> None:
    gate, time = throttle(64)
    for _ in range(10):
        gate.refused(time.now_s, None)
        async with gate.place():
            pass
    assert time.paused[:3] == [0.5, 1.0, 2.0]
    assert max(time.paused) == 60.0


def test_thousands_of_refusals_are_no_error() -> None:
    gate, time = throttle(1)
    for _ in range(3000):
        time.now_s += 1.0
        gate.refused(time.now_s, 0.0)
    gate.refused(time.now_s, None)


def test_refusals_of_one_moment_halve_once() -> None:
    gate, time = throttle(64)
    time.now_s = 10.0
    for _ in range(20):
        gate.refused(5.0, None)  # all of them had begun before
    assert gate.limit == 32
    gate.refused(10.0, None)
    assert gate.limit == 16


def test_it_never_falls_to_nothing_and_climbs_back() -> None:
    gate, time = throttle(3)
    for second in range(5):
        time.now_s = float(second)
        gate.refused(time.now_s, None)
    assert gate.limit == 1
    for _ in range(1 + 2):
        gate.succeeded()
    assert gate.limit == 3
    for _ in range(100):
        gate.succeeded()
    assert gate.limit == 3


async def test_a_used_up_quota_holds_the_next_ones_back() -> None:
    gate, time = throttle(3)
    gate.hold(2.5)
    async with gate.place():
        assert time.paused == [2.5]
