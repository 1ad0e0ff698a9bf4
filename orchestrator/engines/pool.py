"""One backend over many engines: bounded work in flight on each, first come first served.

A request goes to the least loaded engine while any engine has little to do, so that one query
spreads over all of them; once all are busy it goes where its prefix was last, if there is a slot.
The pool waits for an engine that has died and gives its requests to others; an engine that is
overloaded rests for a while.

It knows backends only by their contract: no Ray, no vLLM.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from nbest.orchestrator.engines.aborts import EarlyAborts, cancelled_sample
from nbest.orchestrator.engines.batches import Done
from nbest.orchestrator.engines.bulk import Attempts, answer_all
from nbest.orchestrator.engines.placement import Placement
from nbest.orchestrator.engines.pool_engine import PooledEngine
from nbest.orchestrator.engines.quarantine import Quarantine, Waiter
from nbest.orchestrator.errors import BackendError, EngineDead, NotBegun, Overloaded, first_line
from nbest.orchestrator.ids import query_of
from nbest.orchestrator.tasks import Background
from nbest.orchestrator.types import Request, Sample

# An engine that dies as often as this with no sample finished in between is in a crash loop. A
# query that kills engines costs three deaths, and a few such queries may come together.
MAX_DEATHS = 9

# How long an overloaded engine rests: twice as long each time until it finishes a sample again.
FIRST_REST_S = 0.1
LONGEST_REST_S = 30.0

# A request that met an overloaded engine this often is an error: together a minute and a half.
MAX_RESTS = 10

# Suspects of a death are probed by the same engine, which is empty when it is back. If it is away
# for longer (its machine is gone, its model is large), another one is emptied for them.
PATIENCE_S = 30.0


class Pool:
    """A `Backend` that spreads requests over engines."""

    def __init__(
        self,
        engines: Sequence[PooledEngine],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engines = list(engines)
        self._placement = Placement(engines)
        self._pause = pause
        self._waiting: OrderedDict[str, Waiter] = OrderedDict()  # by request id, next one first
        self._aborted = EarlyAborts()
        self._quarantine = Quarantine(
            take=self._take, readmit=self._readmit, note_death=self._note_death
        )
        self._background = Background(lambda error: self._fail(EngineDead(first_line(error))))
        self.death: EngineDead | None = None  # of the last engine
        self._room = asyncio.Event()
        self._room.set()
        self.has_finished = False  # whether any sample has been finished yet
        self.regenerated_tokens = 0  # of samples that had been begun by an engine that died
        for engine in self._engines:
            if not engine.is_up and engine.revive is not None:
                self._background.begin(self._revive(engine, engine.revive))

    @property
    def engines_up(self) -> int:
        return sum(engine.is_up for engine in self._engines)

    async def generate(self, request: Request) -> Sample:
        """Draw a sample from some engine; raises Quarantined if the query kills engines."""
        return await self.attempt(request, Attempts())

    async def generate_many(self, requests: Sequence[Request], done: Done) -> None:
        """Answer many requests in one call, as `BatchedBackend` says."""
        await answer_all(self, requests, done)

    async def attempt(self, request: Request, attempts: Attempts) -> Sample:
        query = query_of(request.id)
        while True:
            self._quarantine.check(query)
            engine = None if self._aborted.take(request.id) else await self._acquire(request, query)
            if engine is None:
                return cancelled_sample(request)
            try:
                sample = await engine.backend.generate(request)
                self.note_sample(engine, sample, attempts)
                return sample
            except BackendError as error:
                if self.is_over(engine, request, error, attempts):
                    raise
            finally:
                self.leave(engine, request)

    def place(self, request: Request) -> PooledEngine | None:
        if self._waiting or self.death is not None or request.id in self._aborted:
            return None
        if self._quarantine.concerns(request):
            return None
        engine = self._placement.engine_for(request)
        if engine is not None:
            self._placement.take(engine, request)
        return engine

    def leave(self, engine: PooledEngine, request: Request) -> None:
        engine.drop(request.id)
        self._placement.note(engine)
        if self._waiting:
            self._hand_out()

    def note_sample(self, engine: PooledEngine, sample: Sample, attempts: Attempts) -> None:
        self.has_finished = True
        engine.deaths = engine.rests = 0
        if attempts.was_begun:
            self.regenerated_tokens += sample.generated_tokens
        self._aborted.take(sample.id)

    def is_over(
        self, engine: PooledEngine, request: Request, error: BackendError, attempts: Attempts
    ) -> bool:
        if isinstance(error, EngineDead):
            self._note_death(engine, error)
            if not isinstance(error, NotBegun):
                attempts.was_begun = True
                self._suspect(engine, query_of(request.id))
            return False
        if isinstance(error, Overloaded) and attempts.rests < MAX_RESTS:
            attempts.rests += 1
            self._rest(engine)
            return False
        return True

    async def abort(self, request_id: str) -> None:
        for engine in self._engines:
            if request_id in engine.in_flight:
                self._aborted.add(request_id)  # in case the engine dies before it hears of it
                await engine.backend.abort(request_id)
                return
        if request_id in self._waiting and not self._waiting[request_id][1].done():
            self._waiting[request_id][1].set_result(None)
        elif not self._quarantine.abort(request_id):
            self._aborted.add(request_id)

    async def room(self) -> None:
        """Wait until no request waits for an engine: time to open another query."""
        await self._room.wait()

    async def assemble(self, timeout_s: float) -> None:
        """Wait until all engines are up, but no longer than this."""
        await self._background.wait(timeout_s)

    async def close(self) -> None:
        """Wait no longer for engines that are down."""
        self._background.cancel()

    async def _acquire(self, request: Request, query: str) -> PooledEngine | None:
        """Wait for a slot on an engine; None when the request was aborted while it waited."""
        if self.death is not None:
            raise self.death
        if not self._engines:
            raise EngineDead("the pool has no engine")
        is_suspected = self._quarantine.is_suspected(query)
        if not self._waiting and not is_suspected:
            engine = self._placement.engine_for(request)
            if engine is not None:
                return self._take(engine, request)
        turn: asyncio.Future[PooledEngine | None] = asyncio.get_running_loop().create_future()
        if is_suspected:
            self._quarantine.wait(query, (request, turn))
        else:
            self._waiting[request.id] = request, turn
            self._room.clear()
        try:
            engine = await turn
        except asyncio.CancelledError:
            # The slot may have been handed over in the very moment of the cancellation.
            is_handed = turn.done() and not turn.cancelled() and turn.exception() is None
            if is_handed and (engine := turn.result()) is not None:
                self.leave(engine, request)
            self._hand_out()
            raise
        if engine is None or not self._quarantine.forbids(query, engine):
            return engine
        # The query has become a suspect since the slot was handed over.
        self.leave(engine, request)
        self._hand_out()
        self._quarantine.check(query)
        return await self._acquire(request, query)

    def _hand_out(self) -> None:
        """Give free slots to waiting requests, in the order in which they came."""
        while self._waiting:
            request, turn = next(iter(self._waiting.values()))
            if not turn.done() and not self._quarantine.holds_back(request, turn):
                engine = self._placement.engine_for(request)
                if engine is None:
                    return
                turn.set_result(self._take(engine, request))
            self._waiting.popitem(last=False)
        self._room.set()

    def _take(self, engine: PooledEngine, request: Request) -> PooledEngine:
        self._placement.take(engine, request)
        return engine

    def _note_death(self, engine: PooledEngine, death: EngineDead) -> None:
        """Note the death of an engine: it gets no more work until it is back."""
        if not engine.is_up:  # a sibling request has already reported the same death
            return
        engine.is_up = False
        engine.deaths += 1
        self._quarantine.engine_died(engine, death)
        if engine.revive is None or engine.deaths >= MAX_DEATHS:
            self._remove(engine, death)
        else:
            self._background.begin(self._revive(engine, engine.revive))
            self._background.begin(self._hand_over_suspects(engine))

    async def _revive(self, engine: PooledEngine, revive: Callable[[], Awaitable[None]]) -> None:
        try:
            await revive()
        # A backend is a plugin: whatever it raises, the requests that wait for it must hear of it.
        except Exception as failure:  # noqa: BLE001
            self._remove(engine, EngineDead(first_line(failure)))
        else:
            engine.is_up = True
            await self._probe_suspects(engine)

    async def _hand_over_suspects(self, engine: PooledEngine) -> None:
        """Let another engine probe the suspects if this one takes too long to come back."""
        while not engine.is_up and engine in self._engines:
            await self._pause(PATIENCE_S)
            others = [other for other in self._engines if other.is_up]
            if not engine.is_up and engine.suspects and others:
                self._move_suspects(engine, min(others, key=lambda other: other.load))

    def _move_suspects(self, engine: PooledEngine, other: PooledEngine) -> None:
        other.suspects.extend(engine.suspects)
        engine.suspects.clear()
        self._background.begin(self._probe_suspects(other))

    def _remove(self, engine: PooledEngine, death: EngineDead) -> None:
        """Work without the engine from now on; without any, fail all requests that wait."""
        self._engines.remove(engine)
        if self._engines:
            self._move_suspects(engine, min(self._engines, key=lambda other: other.load))
        else:
            self._fail(death)

    def _fail(self, death: EngineDead) -> None:
        """Fail all requests that wait, and all that come."""
        self.death = death
        self._quarantine.fail(death)
        for _, turn in self._waiting.values():
            if not turn.done():
                turn.set_exception(death)
        self._waiting.clear()
        self._room.set()

    def _rest(self, engine: PooledEngine) -> None:
        """Give the engine no more work for a while."""
        if not engine.is_resting:
            engine.is_resting = True
            seconds = min(FIRST_REST_S * 2**engine.rests, LONGEST_REST_S)
            self._background.begin(self._wake(engine, seconds))
            engine.rests += 1

    async def _wake(self, engine: PooledEngine, seconds: float) -> None:
        await self._pause(seconds)
        engine.is_resting = False
        self._placement.note(engine)
        self._hand_out()

    def _suspect(self, engine: PooledEngine, query: str) -> None:
        """Suspect a query that an engine died on: no engine takes it until it is probed."""
        if not self._engines:
            return
        prober = engine if engine in self._engines else min(self._engines, key=lambda e: e.load)
        if self._quarantine.suspect(query, prober) and prober.is_up:
            self._background.begin(self._probe_suspects(prober))

    async def _probe_suspects(self, engine: PooledEngine) -> None:
        async with engine.probing:
            if engine.is_up:
                await self._quarantine.probe_suspects(engine)
        self._placement.note(engine)
        self._hand_out()

    def _readmit(self, waiters: list[Waiter]) -> None:
        """Queue requests before all that came later."""
        for waiter in reversed(waiters):
            self._waiting[waiter[0].id] = waiter
            self._waiting.move_to_end(waiter[0].id, last=False)
        if waiters:
            self._room.clear()
            self._hand_out()
