"""The main loop: queries in, records out, as many at once as the engines can use.

The same loop runs in a user's process and inside every Ray worker. It knows engines only as a pool,
and durable storage only as something that takes samples and records.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass, field

from orchestrator.errors import EngineDead, StoreError
from orchestrator.pool import Pool
from orchestrator.progress import Tally
from orchestrator.sampler import StoredSampler
from orchestrator.store import RunStore
from orchestrator.tasks import task_group
from orchestrator.types import (
    Outcome,
    Query,
    Record,
    Selection,
    Strategy,
)

# Open queries that wait for their scores hold their samples in memory; this bounds how many.
MAX_OPEN_QUERIES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of one query: the selection in full, and the record that is kept of it."""

    record: Record
    selection: Selection | None  # None: it ended in an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Everything that the loop works with."""

    strategy: Strategy
    pool: Pool
    store: RunStore
    run: str = "run"  # first part of every request id
    seed: int = 0
    tally: Tally = field(default_factory=Tally)

    async def answer_all(
        self, queries: AsyncIterable[Query], done: Callable[[Answered], None]
    ) -> None:
        """Answer every query and call `done` for each, in the order in which they end.

        The next query is opened when the one before has sent its requests and none of them waits
        for an engine: whether a query wants one sample or ten thousand, the engines are full and
        the queue is short.
        """
        places = asyncio.Semaphore(MAX_OPEN_QUERIES)
        async with task_group() as group:
            async for query in queries:
                await places.acquire()
                has_begun = asyncio.Event()
                group.create_task(self._answer_one(query, has_begun, places, done))
                await has_begun.wait()
                await self.pool.room()

    async def _answer_one(
        self,
        query: Query,
        has_begun: asyncio.Event,
        places: asyncio.Semaphore,
        done: Callable[[Answered], None],
    ) -> None:
        try:
            done(await self.answer(query, has_begun.set))
        finally:
            has_begun.set()
            places.release()

    async def answer(self, query: Query, begun: Callable[[], None] = lambda: None) -> Answered:
        """Answer one query. Only the death of the engines is raised; all else is in the record."""
        sampler = StoredSampler(
            run=self.run,
            seed=self.seed,
            query=query,
            backend=self.pool,
            store=self.store,
            tally=self.tally,
            begun=begun,
        )
        started_s = time.monotonic()
        selection, error = await self._select(query, sampler)
        record = Record(
            query_id=query.id,
            strategy=repr(self.strategy),
            outcome=outcome_of(selection),
            index=selection.index if selection else None,
            answer=selection.answer if selection else None,
            confidence=selection.confidence if selection else float("nan"),
            error=error,
            usage=sampler.usage,
            seconds=time.monotonic() - started_s,
        )
        self.store.add_record(record)
        self.tally.queries += 1
        self.tally.errors += record.outcome is Outcome.ERROR
        return Answered(record=record, selection=selection)

    async def _select(self, query: Query, sampler: StoredSampler) -> tuple[Selection | None, str]:
        """The selection, or None and the reason why there is none."""
        try:
            selection = await self.strategy(query, sampler)
        except (EngineDead, StoreError):  # the run's trouble, not this query's
            raise
        # Strategies and scorers are plugins, and they read what a model wrote: whatever they
        # raise is the end of this query, not of the run.
        except Exception as error:  # noqa: BLE001
            return None, f"{type(error).__name__}: {error}"
        if selection.answer is None and sampler.errors:
            return None, sampler.errors[0]
        return selection, ""


def outcome_of(selection: Selection | None) -> Outcome:
    if selection is None:
        return Outcome.ERROR
    return Outcome.ABSTAINED if selection.answer is None else Outcome.ANSWERED
