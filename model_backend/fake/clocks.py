"""Clocks of fake backends: the time of the event loop, real or virtual, or of a test."""

from __future__ import annotations

import asyncio
import heapq
import selectors
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Tells the time in seconds, and lets it pass."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class LoopClock:
    """The time of the event loop that is running."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that stands still until a test advances it, and so decides who finishes first."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0  # sleepers that are due at the same time wake in the order they came

    def now(self) -> float:
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now_s + seconds, self._count, wake))
        await wake

    def advance(self, seconds: float) -> None:
        """Let time pass; sleepers that are due by then wake when the event loop runs next."""
        self._now_s += seconds
        while self._sleepers and self._sleepers[0][0] <= self._now_s:
            _, _, wake = heapq.heappop(self._sleepers)
            if not wake.done():
                wake.set_result(None)


class VirtualTime(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer as soon as nothing else is left to do.

    Hours pass in moments, and what happens is the same on every machine. `LoopClock`, `sleep` and
    `timeout` all follow it. It waits for nothing real: no thread, no process, no network.

    Example: `asyncio.Runner(loop_factory=VirtualTime)`
    """

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_InstantSelector(self._advance))

    def time(self) -> float:
        return self._now_s

    def _advance(self, seconds: float) -> None:
        self._now_s += seconds


class _InstantSelector(selectors.SelectSelector):
    """Advances the time of an event loop where another selector would wait."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits, and no timer is set"
            self._advance(max(timeout, 0.0))
        return ready
