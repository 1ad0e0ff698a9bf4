"""One backend over many engines: bounded work in flight on each, first come first served.

A request goes to the least loaded engine while any engine has little to do, so that one query
spreads over all of them; once all are busy it goes where its prefix was last, if there is a place.

It knows backends only by their contract: no Ray, no vLLM, no clock.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from orchestrator.aborts import EarlyAborts, cancelled
from orchestrator.errors import BackendError, EngineDead
from orchestrator.types import Backend, Request, Sample

# Slots beyond what an engine works on: a finished sample is followed at once by one that waits in
# the engine, not by one that still has to travel there.
HEADROOM = 1.1

# Below this share of its slots an engine counts as idle. Engines decode a half-full batch almost as
# fast as one sample, so until then a free engine is worth more than a cached prefix.
BUSY_SHARE = 0.5

# How much fuller than the idlest engine the one with the prefix may be and still be preferred: more
# would leave engines uneven, and the last samples of a query would wait for the fullest.
HOME_SLACK = 0.1

# Engines that may die with one request in flight before that request is taken for the cause.
MAX_DEATHS = 3

# How many prefixes to remember the engine of. More queries than this are never open at once.
PREFIXES = 65_536


@dataclass(slots=True, kw_only=True)
class PooledEngine:
    """An engine of the pool, and what it has in flight."""

    name: str
    backend: Backend
    slots: int
    revive: Callable[[], Awaitable[None]] | None = (
        None  # returns when it serves again after a death
    )
    in_flight: set[str] = field(default_factory=set)
    is_up: bool = True  # False at first: it joins when `revive` returns
    deaths: int = 0  # since it last finished a sample

    @property
    def load(self) -> float:
        return len(self.in_flight) / self.slots

    @property
    def has_slot(self) -> bool:
        return self.is_up and len(self.in_flight) < self.slots


def slots_for(max_concurrency: int) -> int:
    """How many requests to keep in flight on an engine that works on `max_concurrency` at once."""
    return math.ceil(HEADROOM * max_concurrency)


class Pool:
    """A `Backend` that spreads requests over engines."""

    def __init__(self, engines: Sequence[PooledEngine]) -> None:
        self._engines = list(engines)
        self._waiting: deque[tuple[Request, asyncio.Future[PooledEngine | None]]] = deque()
        self._aborted = EarlyAborts()
        self._revivals: set[asyncio.Task[None]] = set()
        self._engine_of_prefix: OrderedDict[str, PooledEngine] = OrderedDict()
        self._death: EngineDead | None = None  # of the last engine
        self._room = asyncio.Event()
        self._room.set()
        for engine in self._engines:
            if not engine.is_up and engine.revive is not None:
                self._expect(engine, engine.revive)

    @property
    def engines_up(self) -> int:
        return sum(engine.is_up for engine in self._engines)

    async def generate(self, request: Request) -> Sample:
        for _ in range(MAX_DEATHS):
            engine = None if self._aborted.take(request.id) else await self._acquire(request)
            if engine is None:
                return cancelled(request)
            try:
                sample = await engine.backend.generate(request)
            except EngineDead as death:
                self._bury(engine, death)
            else:
                engine.deaths = 0
                self._aborted.take(request.id)
                return sample
            finally:
                engine.in_flight.discard(request.id)
                self._hand_out()
        raise BackendError(f"{MAX_DEATHS} engines died while they worked on {request.id}")

    async def abort(self, request_id: str) -> None:
        for engine in self._engines:
            if request_id in engine.in_flight:
                self._aborted.add(request_id)  # should the engine die before it hears of it
                await engine.backend.abort(request_id)
                return
        for request, turn in self._waiting:
            if request.id == request_id and not turn.done():
                turn.set_result(None)
                return
        self._aborted.add(request_id)

    async def room(self) -> None:
        """Wait until no request waits for an engine: time to open another query."""
        await self._room.wait()

    async def assemble(self, timeout_s: float) -> None:
        """Wait until all engines are up, but no longer than this."""
        if self._revivals:
            await asyncio.wait(self._revivals, timeout=timeout_s)

    async def close(self) -> None:
        """Wait no longer for engines that are down."""
        for revival in tuple(self._revivals):
            revival.cancel()

    async def _acquire(self, request: Request) -> PooledEngine | None:
        """A slot on an engine, or None when the request was aborted while it waited."""
        if self._death is not None:
            raise self._death
        if not self._waiting:
            engine = self._choose(request)
            if engine is not None:
                return self._take(engine, request)
        turn: asyncio.Future[PooledEngine | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, turn))
        self._room.clear()
        try:
            return await turn
        except asyncio.CancelledError:
            # The slot may have been handed over in the very moment of the cancellation.
            if turn.done() and not turn.cancelled() and (engine := turn.result()) is not None:
                engine.in_flight.discard(request.id)
            self._hand_out()
            raise

    def _hand_out(self) -> None:
        """Give free slots to those who wait, in the order in which they came."""
        while self._waiting:
            request, turn = self._waiting[0]
            if not turn.done():
                engine = self._choose(request)
                if engine is None:
                    return
                turn.set_result(self._take(engine, request))
            self._waiting.popleft()
        self._room.set()

    def _choose(self, request: Request) -> PooledEngine | None:
        free = [engine for engine in self._engines if engine.has_slot]
        if not free:
            return None
        idlest = min(free, key=lambda engine: engine.load)
        home = self._engine_of_prefix.get(request.affinity)
        if home is None or not home.has_slot or idlest.load < BUSY_SHARE:
            return idlest
        return home if home.load <= idlest.load + HOME_SLACK else idlest

    def _bury(self, engine: PooledEngine, death: EngineDead) -> None:
        """Give the engine no more work until it is back; raise when there is no hope for any."""
        if engine.is_up:  # else a sibling request has already reported the same death
            engine.is_up = False
            engine.deaths += 1
            if engine.revive is None or engine.deaths >= MAX_DEATHS:
                self._engines.remove(engine)
            else:
                self._expect(engine, engine.revive)
        if not self._engines:
            self._give_up(death)
            raise death

    def _expect(self, engine: PooledEngine, revive: Callable[[], Awaitable[None]]) -> None:
        revival = asyncio.get_running_loop().create_task(self._revive(engine, revive))
        self._revivals.add(revival)
        revival.add_done_callback(self._revivals.discard)

    async def _revive(self, engine: PooledEngine, revive: Callable[[], Awaitable[None]]) -> None:
        try:
            await revive()
        except EngineDead as death:
            self._engines.remove(engine)
            if not self._engines:
                self._give_up(death)
        else:
            engine.is_up = True
            self._hand_out()

    def _give_up(self, death: EngineDead) -> None:
        """No engine is left: fail everybody who waits for one."""
        self._death = death
        for _, turn in self._waiting:
            if not turn.done():
                turn.set_exception(death)
        self._waiting.clear()
        self._room.set()

    def _take(self, engine: PooledEngine, request: Request) -> PooledEngine:
        engine.in_flight.add(request.id)
        self._engine_of_prefix[request.affinity] = engine
        if len(self._engine_of_prefix) > PREFIXES:
            self._engine_of_prefix.popitem(last=False)
        return engine
