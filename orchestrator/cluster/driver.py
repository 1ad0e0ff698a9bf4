"""The driver: leases queries to workers, collects their records, shows progress.

The driver holds no sample, only the queries that no worker has and a short record of each that has
ended. So its work grows with the queries and not with the samples.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError, RayTaskError

from nbest.orchestrator.cluster.actors import start_workers, started_engines
from nbest.orchestrator.cluster.engine.client import REVIVE_PAUSE_S, RemoteEngine, cause_of
from nbest.orchestrator.cluster.engine.watch import LOOK_S, EngineWatch
from nbest.orchestrator.cluster.leases import Lease, LeaseBook
from nbest.orchestrator.cluster.metrics import metrics_report
from nbest.orchestrator.cluster.session import marked_folder, ray_session
from nbest.orchestrator.cluster.settings import STALL_TIMEOUT_S, Cluster
from nbest.orchestrator.cluster.shared_folder import Mark
from nbest.orchestrator.cluster.worker import EngineHandle, QueryWorker, WorkerReport
from nbest.orchestrator.errors import BackendError, EngineDead, InputError, NbestError
from nbest.orchestrator.protocols import BatchStrategy
from nbest.orchestrator.query.tally import Tally
from nbest.orchestrator.run.job import Job
from nbest.orchestrator.run.progress import Report, snapshot
from nbest.orchestrator.tasks import task_group
from nbest.orchestrator.types import Record

# Deaths of one worker in a row, with no query answered in between, that end the run.
MAX_WORKER_DEATHS = 6

# How often the display is updated while engines are still starting.
STARTING_S = 0.5

# How long workers and engines get to write what they hold and to stop. They get less if the run was
# interrupted or has failed: schedulers grant little time, and some of them may be gone.
CLOSE_S = 20.0
CLOSE_SOON_S = 2.0


async def run_on_ray(job: Job, cluster: Cluster, report: Report) -> list[Record]:
    """Answer the queries of a job on Ray; return the records when every query has one."""
    with (
        ray_session(cluster, job.backend, tuple(job.models.values())),
        marked_folder(job.work.directory, cluster) as mark,
        started_engines(job, cluster) as engines,
    ):
        driver = Driver(
            job,
            engines,
            start_workers(job, cluster),
            metrics_report(report, job.work.run),
            mark=mark,
            stall_s=cluster.stall_timeout_s,
        )
        try:
            records = await driver.run()
        except BaseException:
            await driver.close(CLOSE_SOON_S)
            raise
        await driver.close()
        return records


@dataclass(slots=True, kw_only=True)
class WorkerState:
    """A worker, and what the driver knows of it."""

    actor: ActorHandle[QueryWorker]
    lease: Lease = field(default_factory=Lease)
    tally: Tally = field(default_factory=Tally)  # of its present life
    past: Tally = field(default_factory=Tally)  # of its lives before
    deaths: int = 0  # since it last answered a query
    has_joined: bool = False  # in its present life
    given_up: dict[str, str] = field(default_factory=dict)  # reasons, by id of a killer query


class Driver:
    """Leases queries to workers and collects their records."""

    def __init__(
        self,
        job: Job,
        engines: Sequence[EngineHandle],
        workers: Sequence[ActorHandle[QueryWorker]],
        report: Report,
        *,
        have_joined: bool = False,  # whether the workers know their engines already
        mark: Mark | None = None,  # that workers must find in the run directory
        stall_s: float = STALL_TIMEOUT_S,
    ) -> None:
        self._engines = engines
        self._mark = mark
        self._workers = [WorkerState(actor=worker, has_joined=have_joined) for worker in workers]
        self._watches = [EngineWatch(handle.name, handle.actor, stall_s) for handle in engines]
        is_batch = isinstance(job.work.strategy, BatchStrategy)
        self._book = LeaseBook(job.queries, is_batch=is_batch)
        self._num_queries = len(job.queries)
        self._records: dict[str, Record] = {}
        self._is_done = asyncio.Event()
        self._stall_s = stall_s
        self._lost = 0  # workers that will never be back
        self._show = report
        self._started_s = time.monotonic()
        self._first_engine_s = 0.0

    async def run(self) -> list[Record]:
        await self._first_engines()
        if not self._num_queries:
            self._is_done.set()
        async with task_group() as group:
            watching = [group.create_task(watch.run()) for watch in self._watches]
            driving = [group.create_task(self._drive(worker)) for worker in self._workers]
            await self._is_done.wait()
            for task in (*watching, *driving):
                task.cancel()  # one may still wait for an actor that Ray has no room for
        await self._last_look()
        return list(self._records.values())

    async def close(self, grace_s: float = CLOSE_S) -> None:
        """Let workers and engines write what they hold; Ray ends those that are too slow."""
        await _settle([worker.actor.close.remote() for worker in self._workers], grace_s)
        await _settle([handle.actor.close.remote() for handle in self._engines], grace_s)

    async def _first_engines(self) -> None:
        """Wait for an engine of each model."""
        models = dict.fromkeys(handle.model for handle in self._engines)
        async with task_group() as group:
            for model in models:
                handles = [handle for handle in self._engines if handle.model == model]
                group.create_task(self._first_engine(handles))
        self._first_engine_s = time.monotonic() - self._started_s

    async def _first_engine(self, handles: Sequence[EngineHandle]) -> None:
        """Wait for one of these engines, so that a model that cannot be loaded fails at once."""
        starts = [RemoteEngine(handle.actor, "driver").revive() for handle in handles]
        pending = {asyncio.ensure_future(start) for start in starts}
        failures: list[BaseException] = []
        try:
            while pending:
                done, pending = await asyncio.wait(
                    pending, timeout=STARTING_S, return_when=asyncio.FIRST_COMPLETED
                )
                self._report()
                failures += [error for start in done if (error := start.exception()) is not None]
                if len(failures) == len(starts) or any(isinstance(e, InputError) for e in failures):
                    break
                if any(start.exception() is None for start in done):
                    return
        finally:
            for start in pending:  # these engines join later, by the workers' pools
                start.cancel()
        raise _start_error(failures)

    async def _drive(self, worker: WorkerState) -> None:
        """Keep one worker at work, through all its lives."""
        while await self._reach(worker):
            try:
                while True:
                    async with asyncio.timeout(self._stall_s):
                        await self._top_up(worker)
                        news = await worker.actor.report.remote()
                    self._note(worker, news)
            except TimeoutError:
                ray.kill(worker.actor, no_restart=False)
                self._take_back(worker, f"no answer for {self._stall_s:.0f} s", has_died=False)
            except RayTaskError as error:
                raise error.cause if isinstance(error.cause, NbestError) else error from None
            except RayError as loss:  # of the worker, or of its last report
                self._take_back(worker, cause_of(loss))

    async def _reach(self, worker: WorkerState) -> bool:
        """Wait until the worker's process answers, however long Ray has no room for it.

        Returns False if it never will; raises BackendError if no worker ever will.
        """
        while True:
            try:
                await worker.actor.life.remote()
                return True
            except ActorUnavailableError:
                await asyncio.sleep(REVIVE_PAUSE_S)
            except ActorDiedError as death:
                self._lost += 1
                if self._lost < len(self._workers):
                    return False
                raise BackendError(f"no worker is left: {cause_of(death)}") from death

    async def _top_up(self, worker: WorkerState) -> None:
        """Lease enough queries for the time until the next report."""
        if not worker.has_joined:
            await worker.actor.join.remote(self._engines, self._mark)
            worker.has_joined = True
            for query_id, why in worker.given_up.items():
                await worker.actor.give_up.remote(query_id, why)
        batch = self._book.next_for(worker.lease)
        if batch:
            was_leased_before = self._book.was_leased_before(batch)
            await worker.actor.lease.remote(
                batch, attempt=self._book.deaths, was_leased_before=was_leased_before
            )
            worker.lease.has_taken = True

    def _take_back(self, worker: WorkerState, cause: str, *, has_died: bool = True) -> None:
        """Put what a dead worker had not answered back at the head of the queue."""
        worker.deaths += 1
        if worker.deaths > MAX_WORKER_DEATHS:
            hint = "a part of the strategy that ends or blocks its process does this, too"
            raise BackendError(f"a worker died {worker.deaths} times in a row: {cause} ({hint})")
        for killer in self._book.take_back(worker.lease, has_died=has_died):
            worker.given_up[killer.id] = f"it killed its workers, the last one alone: {cause}"
        worker.has_joined = False
        worker.past += worker.tally
        worker.tally = Tally()

    def _note(self, worker: WorkerState, news: WorkerReport) -> None:
        for record in news.records:
            self._records[record.query_id] = record
            worker.given_up.pop(record.query_id, None)
            worker.deaths = 0
        for watch in self._watches:
            if watch.name in news.lives:
                watch.served(news.lives[watch.name])
        self._book.answered(worker.lease, news.records, news.queued)
        worker.tally = news.tally
        self._report()
        if len(self._records) == self._num_queries:
            self._is_done.set()

    async def _last_look(self) -> None:
        """Show the engines' counts as they are at the end."""
        await _settle([watch.look() for watch in self._watches], LOOK_S)
        self._report()

    def _report(self) -> None:
        total = Tally()
        for worker in self._workers:
            total += worker.past
            total += worker.tally
        self._show(
            snapshot(
                total,
                num_queries=self._num_queries,
                engines=[watch.view for watch in self._watches],
                elapsed_s=time.monotonic() - self._started_s,
                first_engine_s=self._first_engine_s,
            )
        )


def _start_error(failures: Sequence[BaseException]) -> BaseException:
    """Pick from the failures the error that says best why no engine started."""
    for failure in failures:
        if isinstance(failure, InputError):
            return failure
    first = failures[0]
    if isinstance(first, EngineDead):
        return BackendError(f"an engine did not start: {first}")
    return first


async def _settle(calls: Sequence[Awaitable[None]], timeout_s: float) -> None:
    """Wait for calls to end, well or not; cancel those that do not end in time."""
    futures = [asyncio.ensure_future(call) for call in calls]
    done, pending = await asyncio.wait(futures, timeout=timeout_s)
    for future in done:
        future.exception()  # else asyncio logs that nobody retrieved it
    for future in pending:
        future.cancel()
