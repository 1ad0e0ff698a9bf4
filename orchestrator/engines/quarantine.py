"""Finds out which query kills engines, and keeps it from killing more of them.

When an engine dies, every query that had a request there is a suspect. A suspect waits until an
engine works on it alone. If that engine dies too, it is tried once more: a machine that fails, or
whoever kills processes, may have hit the engine just then. If it dies again, the query is the
cause: it is convicted, and the others that were accused with it are acquitted. So a query that
kills engines does so three times, and none is given up because it stood beside one.

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
"""A request and its turn: an engine that has taken it, or None when it was aborted first."""


class Quarantine:
    """Who is accused, who waits for a trial, who is convicted; and the trials."""

    def __init__(
        self,
        *,
        take: Callable[[PooledEngine, Request], PooledEngine],
        readmit: Callable[[list[Waiter]], None],
        bury: Callable[[PooledEngine, EngineDead], None],
    ) -> None:
        """What a pool does: give a request to an engine, queue requests, hear of a death."""
        self._take = take
        self._readmit = readmit
        self._bury = bury
        self._waiters: dict[str, deque[Waiter]] = {}  # by accused query
        self._died_alone: set[str] = set()  # accused queries whose first trial an engine died in
        self._convicted: dict[str, str] = {}  # why, by query

    def check(self, query: str) -> None:
        """Raise Quarantined if the query is convicted."""
        if self._convicted and query in self._convicted:
            raise Quarantined(self._convicted[query])

    def is_accused(self, query: str) -> bool:
        return query in self._waiters

    def concerns(self, request: Request) -> bool:
        """Whether the query of the request is accused or convicted."""
        if not self._waiters and not self._convicted:
            return False
        return self._is_suspect(query_of(request.id))

    def wait(self, query: str, waiter: Waiter) -> None:
        """Keep a request of an accused query until its trial."""
        self._waiters[query].append(waiter)

    def forbids(self, query: str, engine: PooledEngine) -> bool:
        """Whether the engine must not work on the query now."""
        return self._is_suspect(query) and engine.on_trial != query

    def detains(self, request: Request, turn: asyncio.Future[PooledEngine | None]) -> bool:
        """Whether a request that waits for any engine has to wait for its trial, or has failed."""
        if not self.concerns(request):
            return False
        query = query_of(request.id)
        if query in self._waiters:
            self.wait(query, (request, turn))
        else:
            turn.set_exception(Quarantined(self._convicted[query]))
        return True

    def abort(self, request_id: str) -> bool:
        """Give the turn of a waiting request up; False if it does not wait here."""
        for waiters in self._waiters.values():
            for request, turn in waiters:
                if request.id == request_id and not turn.done():
                    turn.set_result(None)
                    return True
        return False

    def accuse(self, query: str, judge: PooledEngine) -> bool:
        """This engine will try the query alone; False if that is due already or no use."""
        if self._is_suspect(query):
            return False
        self._waiters[query] = deque()
        judge.suspects.append(query)
        return True

    def engine_died(self, engine: PooledEngine, death: EngineDead) -> None:
        """If that has happened twice with one query alone on an engine, that is the cause; its
        fellow suspects are free."""
        query, engine.on_trial = engine.on_trial, ""
        if not query or isinstance(death, NotBegun):
            return
        if query not in self._died_alone:
            self._died_alone.add(query)  # still the newest suspect: tried again when it is back
            return
        self._convict(query, f"it killed its engine twice while it was alone there: {death}")
        fellows = [suspect for suspect in engine.suspects if suspect != query]
        engine.suspects.clear()
        for fellow in fellows:
            self._acquit(fellow)

    def fail(self, error: EngineDead) -> None:
        """No trial will be held any more."""
        for query in tuple(self._waiters):
            self._fail(query, error)

    async def hold_trials(self, engine: PooledEngine) -> None:
        """Let the engine work on each suspect alone, the newest first: what kills, mostly kills
        at once. Returns when none is left, or with the death of the engine."""
        await engine.drained()
        while engine.is_up and engine.suspects:
            query = engine.suspects[-1]
            if not await self._survives(engine, query):
                return
            engine.suspects.remove(query)
            self._acquit(query)

    async def _survives(self, engine: PooledEngine, query: str) -> bool:
        """Try a query alone, with as many of its requests as the engine takes; False if it dies."""
        try:
            async with engine.alone():
                engine.on_trial = query
                while len(engine.in_flight) < engine.slots and (w := self._next_waiter(query)):
                    request, turn = w
                    turn.set_result(self._take(engine, request))
                await engine.drained()
                survives = engine.on_trial == query  # else `engine_died` has been called
                engine.on_trial = ""
        except EngineDead as death:  # while it was not alone, or no longer: nobody's fault
            engine.on_trial = ""
            self._bury(engine, death)
            return False
        return survives

    def _next_waiter(self, query: str) -> Waiter | None:
        """The request that has waited longest, taken out."""
        waiters = self._waiters.get(query)
        while waiters:
            request, turn = waiters.popleft()
            if not turn.done():
                return request, turn
        return None

    def _acquit(self, query: str) -> None:
        self._died_alone.discard(query)
        self._readmit(list(self._waiters.pop(query, ())))

    def _convict(self, query: str, why: str) -> None:
        self._died_alone.discard(query)
        self._convicted[query] = why
        self._fail(query, Quarantined(why))

    def _fail(self, query: str, error: BackendError) -> None:
        for _, turn in self._waiters.pop(query, ()):
            if not turn.done():
                turn.set_exception(error)

    def _is_suspect(self, query: str) -> bool:
        return query in self._waiters or query in self._convicted
