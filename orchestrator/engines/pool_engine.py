"""An engine of a pool: how it is reached, what it has in flight, and how it is doing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from nbest.orchestrator.protocols import Backend

# Slots beyond what an engine works on: a finished sample is followed at once by one that waits in
# the engine, not by one that still has to travel there.
HEADROOM = 1.1


def slots_for(max_concurrency: int) -> int:
    """How many requests to keep in flight on an engine that works on `max_concurrency` at once."""
    return math.ceil(HEADROOM * max_concurrency)


@dataclass(slots=True, kw_only=True)
class PooledEngine:
    """The state that a pool keeps of one engine."""

    name: str
    backend: Backend
    slots: int
    revive: Callable[[], Awaitable[None]] | None = None  # returns when it serves, again or at first
    # While this context is open, the engine works on no request of any other pool.
    alone: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    in_flight: set[str] = field(default_factory=set)
    is_up: bool = True  # False at first: it joins when `revive` returns
    is_resting: bool = False  # it has reported that it is overloaded
    rests: int = 0  # since it last finished a sample
    deaths: int = 0  # since it last finished a sample
    # Queries to probe before any other work, newest last.
    suspects: list[str] = field(default_factory=list)
    probed: str = ""  # the query that it works on alone, as a probe
    probing: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while it probes its suspects
    emptied: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def load(self) -> float:
        return len(self.in_flight) / self.slots

    @property
    def has_slot(self) -> bool:
        """Whether the engine may take any request that comes."""
        is_open = self.is_up and not self.is_resting and not self.suspects
        return is_open and len(self.in_flight) < self.slots

    def drop(self, request_id: str) -> None:
        """Forget a request that has left the engine, in whatever way."""
        self.in_flight.discard(request_id)
        if not self.in_flight:
            self.emptied.set()

    async def drained(self) -> None:
        """Wait until nothing is in flight."""
        while self.in_flight:
            self.emptied.clear()
            await self.emptied.wait()
