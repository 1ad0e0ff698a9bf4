"""A worker: strategies and scorers for many queries at once, in a Ray actor without a GPU.

It runs the main loop over a pool of all engines and writes its own files of samples. The driver
hears of a query when its samples and its record are on disk, not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from ray.actor import ActorHandle

from nbest.orchestrator.cluster.engine.client import RemoteEngine
from nbest.orchestrator.cluster.engine.server import EngineServer
from nbest.orchestrator.cluster.shared_folder import Mark, check_mark
from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.engines.pool_engine import PooledEngine
from nbest.orchestrator.protocols import BatchStrategy
from nbest.orchestrator.query.model_calls import models_of
from nbest.orchestrator.query.tally import Tally
from nbest.orchestrator.run.job import Work
from nbest.orchestrator.run.loop import Answered, Loop
from nbest.orchestrator.store.run_store import RunStore, open_store
from nbest.orchestrator.types import Outcome, Query, Record

# The driver hears of a worker about this often.
REPORT_S = 0.25

# Engines that are ready answer within this; without the wait, the first would get all the work.
ASSEMBLE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineHandle:
    """One engine actor as a worker sees it."""

    name: str
    actor: ActorHandle[EngineServer]
    slots: int  # how many requests this worker keeps in flight there
    model: str = ""  # the key of its model; empty for the one that samples


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """What happened since the last one."""

    records: tuple[Record, ...]  # of queries whose samples are on disk
    tally: Tally  # since the worker started
    queued: int  # leased queries that are not yet open
    lives: dict[str, str]  # of the engines that were reached since, by name


class QueryWorker:
    """Answers the queries that it is leased."""

    def __init__(self, name: str, work: Work) -> None:
        self._name = name
        self._work = work
        self._leased: asyncio.Queue[Sequence[Query]] = asyncio.Queue()
        self._waiting = 0  # leased queries that the loop has not taken yet
        self._done: list[Record] = []
        self._in_hand = 0  # queries that were leased and have not ended
        self._out_of_work = asyncio.Event()  # since the last report: the driver wants to know
        self._tally = Tally()
        self._engines: dict[str, RemoteEngine] = {}  # by name
        self._told: dict[str, str] = {}  # the lives that the driver has heard of, by engine
        self._open: _Open | None = None

    async def join(self, engines: Sequence[EngineHandle], mark: Mark | None = None) -> None:
        """Begin to work with these engines, before anything else.

        InputError if the run directory is not the one in which the driver left its mark.

        They are no arguments of the constructor, because Ray could not call that again with them
        after a death. A second call begins anew: the driver has lost what this worker said last.
        """
        await self.close()
        if mark is not None:
            assert self._work.directory is not None  # it has been marked
            await asyncio.to_thread(check_mark, self._work.directory, mark)
        self._leased, self._waiting = asyncio.Queue(), 0
        self._done, self._tally, self._told = [], Tally(), {}
        self._in_hand = 0
        store = await open_store(self._work.directory)
        self._engines = {}
        pools = {
            model: Pool([self._pooled(handle) for handle in engines if handle.model == model])
            for model in ("", *models_of(self._work.strategy))
        }
        await pools[""].assemble(ASSEMBLE_S)
        loop = Loop(
            strategy=self._work.strategy,
            pool=pools.pop(""),
            models=pools,
            store=store,
            run=self._work.run,
            seed=self._work.seed,
            tally=self._tally,
        )
        running = asyncio.create_task(loop.answer_leases(self._leases(), self._note))
        self._open = _Open(store=store, loop=loop, running=running)
        gc.freeze()  # what is imported stays: looking through it again and again takes time

    async def life(self) -> None:
        """Answers, whatever else is the case."""

    async def give_up(self, query_id: str, why: str) -> None:
        """Keep a record of a query that kills workers; it comes with a later report."""
        assert self._open is not None  # joined
        record = Record(
            query_id=query_id,
            strategy=repr(self._work.strategy),
            outcome=Outcome.QUARANTINED,
            error=why,
        )
        self._open.store.add_record(record)
        self._tally.queries += 1
        self._tally.quarantined += 1
        self._done.append(record)

    async def lease(self, queries: Sequence[Query], *, attempt: int, is_second_hand: bool) -> None:
        """Take on these queries; their records come with later reports.

        Second-worker queries were leased to a worker that died: what it had committed is used. The
        number of the attempt keeps their requests apart from those of the worker that died.
        """
        assert self._open is not None  # joined
        if attempt:
            self._open.loop.attempts.update((query.id, attempt) for query in queries)
        if is_second_hand:
            await self._open.store.refresh()
        self._in_hand += len(queries)
        self._waiting += len(queries)
        is_batch = isinstance(self._work.strategy, BatchStrategy)
        for lease in [queries] if is_batch else [[query] for query in queries]:
            self._leased.put_nowait(lease)

    async def report(self) -> WorkerReport:
        """Wait a little, make what is done durable, tell of it. Raises what stopped the loop."""
        assert self._open is not None  # joined
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REPORT_S):
                await self._out_of_work.wait()
        self._out_of_work.clear()
        if self._open.running.done():
            self._open.running.result()
        records, self._done = tuple(self._done), []
        await self._open.store.flush()
        return WorkerReport(
            records=records,
            tally=replace(self._tally, regenerated_tokens=self._open.loop.pool.regenerated_tokens),
            queued=self._waiting,
            lives=self._new_lives(),
        )

    async def close(self) -> None:
        """Stop at once; what has been sampled is made durable."""
        if self._open is not None:
            if not self._open.running.done():  # else the engines have failed
                self._open.loop.settle()
            self._open.running.cancel()
            await asyncio.wait({self._open.running})
            await self._open.loop.close()
            await self._open.store.aclose()
            self._open = None

    def _new_lives(self) -> dict[str, str]:
        lives = {name: engine.life for name, engine in self._engines.items() if engine.life}
        news = {name: life for name, life in lives.items() if self._told.get(name) != life}
        self._told |= news
        return news

    def _pooled(self, handle: EngineHandle) -> PooledEngine:
        remote = self._engines[handle.name] = RemoteEngine(handle.actor, self._name)
        return PooledEngine(
            name=handle.name,
            backend=remote,
            slots=handle.slots,
            revive=remote.revive,
            alone=remote.alone,
            is_up=False,
        )

    def _note(self, answered: Answered) -> None:
        self._done.append(answered.record)
        self._in_hand -= 1
        if not self._in_hand:
            self._out_of_work.set()

    async def _leases(self) -> AsyncIterator[Sequence[Query]]:
        while True:
            lease = await self._leased.get()
            self._waiting -= len(lease)
            yield lease


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """What a worker holds while it runs."""

    store: RunStore
    loop: Loop
    running: asyncio.Task[None]
