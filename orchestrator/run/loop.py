"""The main loop: queries in, records out, as many at once as the engines can use.

The same loop runs in a user's process and inside every Ray worker. It knows engines only as a pool,
and durable storage only as something that takes samples and records.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.errors import (
    EngineDead,
    OutOfBudget,
    PartFailed,
    Quarantined,
    StoreError,
)
from nbest.orchestrator.protocols import BatchStrategy, Strategy
from nbest.orchestrator.query.panel import Panel
from nbest.orchestrator.query.sampler import StoredSampler
from nbest.orchestrator.query.tally import Tally
from nbest.orchestrator.run.open_queries import OpenQueries, OpenQuery
from nbest.orchestrator.store.run_store import RunStore
from nbest.orchestrator.tasks import task_group
from nbest.orchestrator.types import Outcome, Query, Record, Sample, Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of one query: the selection in full, and the record that is kept of it."""

    record: Record
    selection: Selection | None  # None: it ended in an error
    cause: Exception | None = None  # of that error, where something was raised


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Everything that the loop works with."""

    strategy: Strategy | BatchStrategy
    pool: Pool  # of the model that samples
    store: RunStore
    run: str = "run"  # first part of every request id
    seed: int = 0
    panel: Panel | None = None  # the arms that draw; None: one way for all samples
    tally: Tally = field(default_factory=Tally)
    models: Mapping[str, Pool] = field(default_factory=dict)  # of scorers and arms, by key
    # By query id, how many workers had died when the query was leased; 0 where it is not named.
    attempts: dict[str, int] = field(default_factory=dict)
    doubtful: list[Record] = field(default_factory=list)  # quarantines that are not stored yet
    strategy_repr: str = field(init=False)  # made once: it takes longer than a sample

    def __post_init__(self) -> None:
        object.__setattr__(self, "strategy_repr", repr(self.strategy))

    async def answer_leases(
        self, leases: AsyncIterable[Sequence[Query]], done: Callable[[Answered], None]
    ) -> None:
        """Answer leases of queries as they come; a lease is a batch if the strategy takes batches.

        `done` is called for all queries of a batch at once: who has heard of one has heard of all.
        """
        if not isinstance(self.strategy, BatchStrategy):
            return await self.answer_all(_queries_of(leases), done)
        async for lease in leases:
            for answered in await self._answer_batch(self.strategy, lease):
                done(answered)

    async def _answer_batch(
        self, strategy: BatchStrategy, queries: Sequence[Query]
    ) -> list[Answered]:
        started_s = time.monotonic()
        samplers = [self.sampler(query) for query in queries]
        choices = await strategy.draw(queries, samplers)
        async with task_group() as group:
            tasks = [
                group.create_task(self._answer_by(choice, query, sampler, started_s))
                for choice, query, sampler in zip(choices, queries, samplers, strict=True)
            ]
        return [task.result() for task in tasks]

    async def answer_all(
        self, queries: AsyncIterable[Query], done: Callable[[Answered], None]
    ) -> None:
        """Answer every query and call `done` for each, in the order in which they end.

        The next query is opened when the one before has sent its requests and none of them waits
        for an engine: whether a query wants one sample or ten thousand, the engines are full and
        the queue is short.
        """
        places = OpenQueries()
        async with task_group() as group:
            async for query in queries:
                place = await places.open()
                has_begun = asyncio.Event()
                group.create_task(self._answer_one(query, has_begun, place, done))
                await has_begun.wait()
                for pool in self._drawing_pools():
                    await pool.room()

    def _drawing_pools(self) -> list[Pool]:
        """The pools of the models that draw samples."""
        arms = () if self.panel is None else self.panel.models
        return [self.pool, *(self.models[key] for key in arms if key in self.models)]

    async def _answer_one(
        self,
        query: Query,
        has_begun: asyncio.Event,
        place: OpenQuery,
        done: Callable[[Answered], None],
    ) -> None:
        try:
            await self.store.prepare(query.id)
            done(await self.answer(query, has_begun.set, place.hold))
        finally:
            has_begun.set()
            place.close()

    async def answer(
        self,
        query: Query,
        begun: Callable[[], None] = lambda: None,
        hold: Callable[[Sample], None] = lambda sample: None,
    ) -> Answered:
        """Answer one query; raises only what ends the run, all other failures are in the record."""
        if isinstance(self.strategy, BatchStrategy):  # a batch of one
            return (await self._answer_batch(self.strategy, [query]))[0]
        sampler = self.sampler(query, begun, hold)
        return await self._answer_by(self.strategy, query, sampler, time.monotonic())

    async def _answer_by(
        self, strategy: Strategy, query: Query, sampler: StoredSampler, started_s: float
    ) -> Answered:
        selection, outcome, error, cause = await self._select(strategy, query, sampler)
        record = Record(
            query_id=query.id,
            strategy=self.strategy_repr,
            outcome=outcome,
            index=selection.index if selection else None,
            answer=selection.answer if selection else None,
            confidence=selection.confidence if selection else float("nan"),
            error=error,
            usage=replace(sampler.usage, pruned_tokens=selection.pruned_tokens if selection else 0),
            seconds=time.monotonic() - started_s,
        )
        self._keep(record)
        self.tally.queries += 1
        self.tally.errors += record.outcome is Outcome.ERROR
        self.tally.quarantined += record.outcome is Outcome.QUARANTINED
        return Answered(record=record, selection=selection, cause=cause)

    def sampler(
        self,
        query: Query,
        begun: Callable[[], None] = lambda: None,
        hold: Callable[[Sample], None] = lambda sample: None,
    ) -> StoredSampler:
        """The sampler of a query.

        It calls `begun` when the requests of the query are sent, and `hold` with every sample.
        """
        return StoredSampler(
            run=self.run,
            seed=self.seed,
            query=query,
            backend=self.pool,
            store=self.store,
            tally=self.tally,
            begun=begun,
            models=self.models,
            attempt=self.attempts.pop(query.id, 0),
            hold=hold,
            panel=self.panel,
        )

    async def close(self) -> None:
        """Wait no longer for engines that are down."""
        for pool in (self.pool, *self.models.values()):
            await pool.close()

    def settle(self) -> None:
        """Store the quarantines in doubt if any sample has been finished; otherwise drop them."""
        if self._has_worked():
            for record in self.doubtful:
                self.store.add_record(record)
        self.doubtful.clear()

    def _keep(self, record: Record) -> None:
        """Store a record; a quarantine only once an engine has worked for another query.

        Where every query kills its engine, the engine is broken: that run ends with an error, and
        the next run should avoid none of its queries.
        """
        if record.outcome is Outcome.QUARANTINED:
            self.doubtful.append(record)
            return
        self.store.add_record(record)
        if self.doubtful and self._has_worked():
            self.settle()

    def _has_worked(self) -> bool:
        """Whether any engine has finished a sample."""
        return any(pool.has_finished for pool in self._drawing_pools())

    async def _select(
        self, strategy: Strategy, query: Query, sampler: StoredSampler
    ) -> tuple[Selection | None, Outcome, str, Exception | None]:
        """Run the strategy; returns the selection or None, how the query ended, the error, and
        what was raised."""
        try:
            selection = await strategy(query, sampler)
        except (EngineDead, StoreError):  # the run's trouble, not this query's
            raise
        except Quarantined as error:
            return None, Outcome.QUARANTINED, str(error), error
        except OutOfBudget as error:
            return None, Outcome.OUT_OF_BUDGET, str(error), error
        except PartFailed as error:
            return None, Outcome.ERROR, str(error), error
        # Strategies and scorers are plugins, and they read what a model wrote: whatever they
        # raise is the end of this query, not of the run.
        except Exception as error:  # noqa: BLE001
            return None, Outcome.ERROR, f"{type(error).__name__}: {error}", error
        if selection.answer is None and sampler.errors:
            return None, Outcome.ERROR, sampler.errors[0], None
        is_answered = selection.answer is not None
        return selection, Outcome.ANSWERED if is_answered else Outcome.ABSTAINED, "", None


async def one_lease(queries: Sequence[Query]) -> AsyncIterator[Sequence[Query]]:
    """Yield all queries as one lease."""
    yield queries


async def _queries_of(leases: AsyncIterable[Sequence[Query]]) -> AsyncIterator[Query]:
    async for lease in leases:
        for query in lease:
            yield query
