"""A worker: strategies and scorers for many queries at once, in a Ray actor without a GPU.

A worker runs the main loop over a pool of all engines and writes its own files of samples. It
reports a query to the driver only when the samples and the record are on disk.
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
from nbest.orchestrator.query.tally import Tally
from nbest.orchestrator.run.job import Work
from nbest.orchestrator.run.loop import Answered, Loop
from nbest.orchestrator.store.run_store import RunStore, open_store
from nbest.orchestrator.types import Outcome, Query, Record

# A worker reports to the driver about this often.
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
    """What happened since the last report."""

    records: tuple[Record, ...]  # of queries whose samples are on disk
    tally: Tally  # since the worker started
    queued: int  # leased queries that are not yet open
    lives: dict[str, str]  # of the engines that were reached since, by name


class QueryWorker:
    """Answers the queries that the driver leases to it."""

    def __init__(self, name: str, work: Work) -> None:
        self._name = name
        self._work = work
        self._leased: asyncio.Queue[Sequence[Query]] = asyncio.Queue()
        self._num_waiting = 0  # leased queries that the loop has not taken yet
        self._records: list[Record] = []
        self._num_unanswered = 0  # queries that were leased and have not ended
        self._out_of_work = asyncio.Event()  # since the last report, which comes early then
        self._tally = Tally()
        self._engines: dict[str, RemoteEngine] = {}  # by name
        self._reported_lives: dict[str, str] = {}  # that the driver has heard of, by engine
        self._session: _Session | None = None

    async def join(self, engines: Sequence[EngineHandle], mark: Mark | None = None) -> None:
        """Start the loop over these engines; every other method needs that.

        Raises InputError if the run directory is not the one in which the driver left its mark.

        The engines are no arguments of the constructor, because Ray could not call that again with
        them after a death. A second call starts anew: the driver has lost the last report.
        """
        await self.close()
        if mark is not None:
            assert self._work.directory is not None  # it has been marked
            await asyncio.to_thread(check_mark, self._work.directory, mark)
        self._leased, self._num_waiting = asyncio.Queue(), 0
        self._records, self._tally, self._reported_lives = [], Tally(), {}
        self._num_unanswered = 0
        store = await open_store(self._work.directory)
        self._engines = {}
        pools = {
            model: Pool([self._pooled(handle) for handle in engines if handle.model == model])
            for model in ("", *self._work.models)
        }
        await pools[""].assemble(ASSEMBLE_S)
        loop = Loop(
            strategy=self._work.strategy,
            pool=pools.pop(""),
            models=pools,
            store=store,
            run=self._work.run,
            seed=self._work.seed,
            panel=self._work.panel,
            tally=self._tally,
        )
        running = asyncio.create_task(loop.answer_leases(self._leases(), self._note))
        self._session = _Session(store=store, loop=loop, running=running)
        gc.freeze()  # imported modules stay: scanning them at every collection takes time

    async def life(self) -> None:
        """Return at once, whatever the state: the process is alive."""

    async def give_up(self, query_id: str, why: str) -> None:
        """Record that a query kills workers; the record comes with a later report."""
        assert self._session is not None  # joined
        record = Record(
            query_id=query_id,
            strategy=repr(self._work.strategy),
            outcome=Outcome.QUARANTINED,
            error=why,
        )
        self._session.store.add_record(record)
        self._tally.queries += 1
        self._tally.quarantined += 1
        self._records.append(record)

    async def lease(
        self, queries: Sequence[Query], *, attempt: int, was_leased_before: bool
    ) -> None:
        """Take on these queries; their records come with later reports.

        If `was_leased_before`, a worker that died had some of them, and its samples are used. The
        number of the attempt keeps their requests apart from those of that worker.
        """
        assert self._session is not None  # joined
        if attempt:
            self._session.loop.attempts.update((query.id, attempt) for query in queries)
        if was_leased_before:
            await self._session.store.refresh()
        self._num_unanswered += len(queries)
        self._num_waiting += len(queries)
        is_batch = isinstance(self._work.strategy, BatchStrategy)
        for lease in [queries] if is_batch else [[query] for query in queries]:
            self._leased.put_nowait(lease)

    async def report(self) -> WorkerReport:
        """Wait a little, make all records durable, return them. Raises what stopped the loop."""
        assert self._session is not None  # joined
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REPORT_S):
                await self._out_of_work.wait()
        self._out_of_work.clear()
        if self._session.running.done():
            self._session.running.result()
        records, self._records = tuple(self._records), []
        await self._session.store.flush()
        return WorkerReport(
            records=records,
            tally=replace(
                self._tally, regenerated_tokens=self._session.loop.pool.regenerated_tokens
            ),
            queued=self._num_waiting,
            lives=self._new_lives(),
        )

    async def close(self) -> None:
        """Stop at once, and make durable what has been sampled."""
        if self._session is not None:
            if not self._session.running.done():  # else the engines have failed
                self._session.loop.settle()
            self._session.running.cancel()
            await asyncio.wait({self._session.running})
            await self._session.loop.close()
            await self._session.store.aclose()
            self._session = None

    def _new_lives(self) -> dict[str, str]:
        lives = {name: engine.life for name, engine in self._engines.items() if engine.life}
        new = {name: life for name, life in lives.items() if self._reported_lives.get(name) != life}
        self._reported_lives |= new
        return new

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
        self._records.append(answered.record)
        self._num_unanswered -= 1
        if not self._num_unanswered:
            self._out_of_work.set()

    async def _leases(self) -> AsyncIterator[Sequence[Query]]:
        while True:
            lease = await self._leased.get()
            self._num_waiting -= len(lease)
            yield lease


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """What a worker holds from `join` to `close`."""

    store: RunStore
    loop: Loop
    running: asyncio.Task[None]
