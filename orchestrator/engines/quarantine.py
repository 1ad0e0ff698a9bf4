"""Finds out which query kills engines, and keeps it from killing more of them.

When an engine dies, every query that had a request there is a suspect. A suspect waits until it is
probed: until an engine works on it alone. If that engine dies too, the query is probed once more,
because a failing machine or a killed process may have ended the engine just then. If the engine
dies again, the query is the cause: it is quarantined, and the other suspects are released. So a
query that kills engines does so three times, and none is given up because it ran beside one.

It knows one engine at a time; which engines there are, and all other work, is the pool's business.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from nbest.orchestrator.engines.pool_engine import PooledEngine
from nbest.orchestrator.errors import BackendError, EngineDead, NotBegun, Quarantined
from nbest.orchestrator.ids import query_of
from nbest.orchestrator.types import Request

Waiter = tuple[Request, asyncio.Future[PooledEngine | None]]
"""A request and its turn: the engine that has taken it, or None when it was aborted first."""


class Quarantine:
    """Keeps the suspected and the quarantined queries, and runs the probes."""

    def __init__(
        self,
        *,
        take: Callable[[PooledEngine, Request], PooledEngine],
        readmit: Callable[[list[Waiter]], None],
        note_death: Callable[[PooledEngine, EngineDead], None],
    ) -> None:
        """The callbacks of the pool: give a request to an engine, queue requests, note a death."""
        self._take = take
        self._readmit = readmit
        self._note_death = note_death
        self._waiters: dict[str, deque[Waiter]] = {}  # by suspected query
        self._died_alone: set[str] = set()  # suspects in whose first probe the engine died
        self._quarantined: dict[str, str] = {}  # why, by query

    def check(self, query: str) -> None:
        """Raise Quarantined if the query is quarantined."""
        if self._quarantined and query in self._quarantined:
            raise Quarantined(self._quarantined[query])

    def is_suspected(self, query: str) -> bool:
        return query in self._waiters

    def concerns(self, request: Request) -> bool:
        """Whether the query of the request is suspected or quarantined."""
        if not self._waiters and not self._quarantined:
            return False
        return self._is_set_apart(query_of(request.id))

    def wait(self, query: str, waiter: Waiter) -> None:
        """Keep a request of a suspected query until its probe."""
        self._waiters[query].append(waiter)

    def forbids(self, query: str, engine: PooledEngine) -> bool:
        """Whether the engine must not work on the query now."""
        return self._is_set_apart(query) and engine.probed != query

    def holds_back(self, request: Request, turn: asyncio.Future[PooledEngine | None]) -> bool:
        """Whether a request that waits for any engine must wait for a probe, or has failed."""
        if not self.concerns(request):
            return False
        query = query_of(request.id)
        if query in self._waiters:
            self.wait(query, (request, turn))
        else:
            turn.set_exception(Quarantined(self._quarantined[query]))
        return True

    def abort(self, request_id: str) -> bool:
        """Give up the turn of a waiting request; False if it does not wait here."""
        for waiters in self._waiters.values():
            for request, turn in waiters:
                if request.id == request_id and not turn.done():
                    turn.set_result(None)
                    return True
        return False

    def suspect(self, query: str, engine: PooledEngine) -> bool:
        """Have this engine probe the query; False if it is suspected or quarantined already."""
        if self._is_set_apart(query):
            return False
        self._waiters[query] = deque()
        engine.suspects.append(query)
        return True

    def engine_died(self, engine: PooledEngine, death: EngineDead) -> None:
        """Note a death. A query that was alone on an engine in two deaths is quarantined, and the
        other suspects of the engine are released."""
        query, engine.probed = engine.probed, ""
        if not query or isinstance(death, NotBegun):
            return
        if query not in self._died_alone:
            self._died_alone.add(query)  # still the newest suspect: it is probed again
            return
        self._quarantine(query, f"it killed its engine twice while it was alone there: {death}")
        others = [suspect for suspect in engine.suspects if suspect != query]
        engine.suspects.clear()
        for other in others:
            self._release(other)

    def fail(self, error: EngineDead) -> None:
        """Fail every request that waits for a probe: there will be no more probes."""
        for query in tuple(self._waiters):
            self._fail(query, error)

    async def probe_suspects(self, engine: PooledEngine) -> None:
        """Let the engine work on each suspect alone, the newest first: a killer mostly kills at
        once. Returns when no suspect remains, or at the death of the engine."""
        await engine.drained()
        while engine.is_up and engine.suspects:
            query = engine.suspects[-1]
            if not await self._probe(engine, query):
                return
            engine.suspects.remove(query)
            self._release(query)

    async def _probe(self, engine: PooledEngine, query: str) -> bool:
        """Run a query alone, with as many requests as the engine takes; False if it dies."""
        try:
            async with engine.alone():
                engine.probed = query
                while len(engine.in_flight) < engine.slots and (waiter := self._next_waiter(query)):
                    request, turn = waiter
                    turn.set_result(self._take(engine, request))
                await engine.drained()
                survives = engine.probed == query  # else `engine_died` has been called
                engine.probed = ""
        except EngineDead as death:  # before or after it was alone: the query is not to blame
            engine.probed = ""
            self._note_death(engine, death)
            return False
        return survives

    def _next_waiter(self, query: str) -> Waiter | None:
        """Take out the request that has waited longest."""
        waiters = self._waiters.get(query)
        while waiters:
            request, turn = waiters.popleft()
            if not turn.done():
                return request, turn
        return None

    def _release(self, query: str) -> None:
        self._died_alone.discard(query)
        self._readmit(list(self._waiters.pop(query, ())))

    def _quarantine(self, query: str, why: str) -> None:
        self._died_alone.discard(query)
        self._quarantined[query] = why
        self._fail(query, Quarantined(why))

    def _fail(self, query: str, error: BackendError) -> None:
        for _, turn in self._waiters.pop(query, ()):
            if not turn.done():
                turn.set_exception(error)

    def _is_set_apart(self, query: str) -> bool:
        return query in self._waiters or query in self._quarantined
