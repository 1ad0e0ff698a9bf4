"""Keeps the requests to a server at the number and the pace that it bears.

Additive increase, multiplicative decrease (Chiu and Jain 1989): a refusal halves how many are under
way at once, and each round without one adds one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

FIRST_WAIT_S = 0.5  # after a refusal that names no time: twice as long each time
LONGEST_WAIT_S = 60.0
LEAST_WAIT_S = 0.02  # some say that no time need pass
MOST_DOUBLINGS = 10


class Throttle:
    """How many requests may be under way at once, and from when on."""

    def __init__(
        self,
        most: int,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.limit = most
        self._most = most
        self._clock = clock
        self._pause = pause
        self._under_way = 0
        self._open_s = 0.0  # on the clock: nothing begins before
        self._halved_s = -1.0  # when the limit was last halved
        self._refusals = 0  # in a row
        self._successes = 0  # since the limit has last changed
        self._turn = asyncio.Condition()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it."""
        async with self._turn:
            await self._turn.wait_for(lambda: self._under_way < self.limit)
            self._under_way += 1
        try:
            while (wait_s := self._open_s - self._clock()) > 0:
                await self._pause(wait_s)
            yield
        finally:
            self._under_way -= 1
            async with self._turn:
                self._turn.notify_all()

    def refused(self, began_s: float, wait_s: float | None) -> None:
        """Note a refusal of a request that began at this time; the server may say how long to wait.

        Those that were under way together are one refusal: they halve the limit once.
        """
        now_s = self._clock()
        if began_s >= self._halved_s:
            self.limit = max(1, self.limit // 2)
            self._halved_s = now_s
            self._refusals += 1
            self._successes = 0
        if wait_s is None:
            doublings = min(self._refusals - 1, MOST_DOUBLINGS)
            wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**doublings)
        self._open_s = max(self._open_s, now_s + max(LEAST_WAIT_S, wait_s))

    def hold(self, wait_s: float) -> None:
        """Begin nothing for so long: the server has said that its quota is used up until then."""
        self._open_s = max(self._open_s, self._clock() + wait_s)

    def succeeded(self) -> None:
        """Note a request that was answered."""
        self._refusals = 0
        self._successes += 1
        if self._successes >= self.limit and self.limit < self._most:
            self.limit += 1
            self._successes = 0
