"""The driver: leases queries to workers, hears what became of them, shows progress.

It owns no sample. It holds the queries that are left and a short record of each that is done, so
that its work grows with queries and not with samples.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError, RayTaskError

from orchestrator.cluster_engine import cause_of
from orchestrator.cluster_settings import Cluster
from orchestrator.cluster_start import ray_session, start_engines, start_workers
from orchestrator.cluster_worker import EngineSeat, QueryWorker, WorkerReport
from orchestrator.errors import BackendError, NbestError
from orchestrator.job import Job
from orchestrator.progress import Report, Tally, snapshot
from orchestrator.tasks import task_group
from orchestrator.types import Query, Record

# A worker keeps at least this many queries in hand; more, if it answers more between two reports.
MIN_AHEAD = 8

# Deaths of one worker in a row, with no query answered in between, that end the run.
MAX_WORKER_DEATHS = 3

# How often the display is told that engines are still starting.
STARTING_S = 0.5

# How long workers and engines get to write what they hold and to stop.
CLOSE_S = 20.0


async def run_on_ray(job: Job, cluster: Cluster, report: Report) -> list[Record]:
    """Answer the queries of a job on Ray; returns when every query has a record."""
    with ray_session(cluster):
        engines = start_engines(job.backend, cluster)
        driver = Driver(job, engines, start_workers(job, cluster), report)
        try:
            return await driver.run()
        finally:
            await driver.close()


@dataclass(slots=True, kw_only=True)
class Lease:
    """A worker and what it has been given."""

    actor: ActorHandle[QueryWorker]
    queries: dict[str, Query] = field(default_factory=dict)  # leased and not yet answered, by id
    ahead: int = MIN_AHEAD
    tally: Tally = field(default_factory=Tally)  # of its present life
    past: Tally = field(default_factory=Tally)  # of its lives before
    deaths: int = 0  # since it last answered a query
    has_joined: bool = False  # in its present life


class Driver:
    """Hands out queries and hears what became of them."""

    def __init__(
        self,
        job: Job,
        engines: Sequence[EngineSeat],
        workers: Sequence[ActorHandle[QueryWorker]],
        report: Report,
        *,
        have_joined: bool = False,  # whether the workers know their engines already
    ) -> None:
        self._engines = engines
        self._leases = [Lease(actor=worker, has_joined=have_joined) for worker in workers]
        self._left = deque(job.queries)
        self._taken_back: set[str] = set()  # ids of queries whose worker died
        self._num_queries = len(job.queries)
        self._records: dict[str, Record] = {}
        self._engines_up = 0
        self._show = report
        self._started_s = time.monotonic()
        self._first_engine_s = 0.0

    async def run(self) -> list[Record]:
        await self._first_engine()
        async with task_group() as group:
            for lease in self._leases:
                group.create_task(self._drive(lease))
        return list(self._records.values())

    async def close(self) -> None:
        """Let everybody write what they hold; who does not answer in time is left to Ray."""
        await _settle([lease.actor.close.remote() for lease in self._leases])
        await _settle([seat.actor.close.remote() for seat in self._engines])

    async def _first_engine(self) -> None:
        """Wait for an engine, so that a model that cannot be loaded is an error at once."""
        starts = {asyncio.ensure_future(seat.actor.ready.remote()) for seat in self._engines}
        pending = starts
        while len(pending) == len(starts):
            _, pending = await asyncio.wait(
                starts, timeout=STARTING_S, return_when=asyncio.FIRST_COMPLETED
            )
            self._report()
        for start in starts - pending:
            _result_of(start)
        self._first_engine_s = time.monotonic() - self._started_s
        for start in pending:  # these join later, by way of the workers' pools
            start.add_done_callback(_ignore)

    async def _drive(self, lease: Lease) -> None:
        while len(self._records) < self._num_queries:
            try:
                await self._top_up(lease)
                news = await lease.actor.report.remote()
            except (ActorDiedError, ActorUnavailableError) as death:
                await self._take_back(lease, death)
            except RayTaskError as error:
                raise error.cause if isinstance(error.cause, NbestError) else error from None
            else:
                self._note(lease, news)

    async def _top_up(self, lease: Lease) -> None:
        """Lease enough queries for the time until the next report."""
        if not lease.has_joined:
            await lease.actor.join.remote(self._engines)
            lease.has_joined = True
        room = lease.ahead - len(lease.queries)
        batch = [self._left.popleft() for _ in range(min(room, len(self._left)))]
        if batch:
            lease.queries.update((query.id, query) for query in batch)
            is_second_hand = any(query.id in self._taken_back for query in batch)
            await lease.actor.lease.remote(batch, is_second_hand=is_second_hand)

    async def _take_back(self, lease: Lease, death: RayError) -> None:
        """A worker died: what it had not answered goes back to the head of the queue."""
        lease.deaths += 1
        if lease.deaths > MAX_WORKER_DEATHS:
            raise BackendError(f"a worker died {lease.deaths} times in a row: {cause_of(death)}")
        self._taken_back.update(lease.queries)
        self._left.extendleft(reversed(lease.queries.values()))
        lease.queries.clear()
        lease.has_joined = False
        lease.past += lease.tally
        lease.tally = Tally()
        await asyncio.sleep(STARTING_S)

    def _note(self, lease: Lease, news: WorkerReport) -> None:
        for record in news.records:
            self._records[record.query_id] = record
            lease.queries.pop(record.query_id, None)
            lease.deaths = 0
        open_queries = len(lease.queries) - news.queued
        lease.ahead = open_queries + max(MIN_AHEAD, 2 * len(news.records))
        lease.tally = news.tally
        self._engines_up = news.engines_up
        self._report()

    def _report(self) -> None:
        total = Tally()
        for lease in self._leases:
            total += lease.past
            total += lease.tally
        self._show(
            snapshot(
                total,
                num_queries=self._num_queries,
                engines_up=self._engines_up,
                num_engines=len(self._engines),
                elapsed_s=time.monotonic() - self._started_s,
                first_engine_s=self._first_engine_s,
            )
        )


def _result_of(start: asyncio.Future[str]) -> None:
    """Raise what stopped an engine from starting, as what it was before it travelled."""
    try:
        start.result()
    except RayTaskError as error:
        if isinstance(error.cause, NbestError):
            raise error.cause from None
        raise BackendError(f"an engine did not start: {cause_of(error)}") from error
    except RayError as error:
        raise BackendError(f"an engine did not start: {cause_of(error)}") from error


def _ignore(start: asyncio.Future[Any]) -> None:
    if not start.cancelled():
        start.exception()


async def _settle(calls: Sequence[Awaitable[None]]) -> None:
    """Wait for calls to end in whatever way."""
    futures = [asyncio.ensure_future(call) for call in calls]
    done, pending = await asyncio.wait(futures, timeout=CLOSE_S)
    for future in done:
        _ignore(future)
    for future in pending:
        future.cancel()
