"""Runs in this process, without Ray: the same loop over pools of one engine for each model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace

from nbest.orchestrator.engines.local_engine import LocalEngine
from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.engines.pool_engine import PooledEngine, slots_for
from nbest.orchestrator.errors import BackendError, NbestError
from nbest.orchestrator.protocols import BackendConfig, BatchStrategy, Strategy
from nbest.orchestrator.query.panel import Panel
from nbest.orchestrator.query.tally import Tally
from nbest.orchestrator.run.job import Job, Work
from nbest.orchestrator.run.loop import Answered, Loop, one_lease
from nbest.orchestrator.run.progress import Progress, Report, snapshot
from nbest.orchestrator.store.run_store import open_store
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Message, Query, Record, Selection

REPORT_S = 0.25


async def run_here(job: Job, report: Report) -> list[Record]:
    """Answer the queries of a job in this process; returns when every query has a record."""
    records: list[Record] = []
    async with open_loop(job.work, job.backend) as here:
        started_s = time.monotonic()

        def show() -> None:
            report(_progress(here, len(job.queries), time.monotonic() - started_s))

        display = asyncio.create_task(_regularly(show))
        try:
            await here.loop.answer_leases(
                one_lease(job.queries), lambda answered: records.append(answered.record)
            )
            here.loop.settle()
        finally:
            display.cancel()
            show()
    return records


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """The main loop of this process, and its engines."""

    loop: Loop
    engines: tuple[LocalEngine, ...]


@asynccontextmanager
async def open_loop(work: Work, backend: BackendConfig | None) -> AsyncIterator[Here]:
    """Open the main loop over live engines; at the end every sample is durable."""
    store = await open_store(work.directory)
    async with aclosing(store), AsyncExitStack() as running:
        engines: list[LocalEngine] = []
        pool = Pool([])
        if backend is not None:
            engines.append(LocalEngine(backend, "engine0"))
            pool = await running.enter_async_context(running_pool(engines[0], backend))
        models: dict[str, Pool] = {}
        for place, (key, model) in enumerate(work.models.items()):
            engine = LocalEngine(model, f"{work.names[key]}{place}")
            engines.append(engine)
            models[key] = await running.enter_async_context(running_pool(engine, model))
        loop = Loop(
            strategy=work.strategy,
            pool=pool,
            store=store,
            run=work.run,
            seed=work.seed,
            panel=work.panel,
            tally=Tally(),
            models=models,
        )
        yield Here(loop=loop, engines=tuple(engines))


@asynccontextmanager
async def running_pool(engine: LocalEngine, settings: BackendConfig) -> AsyncIterator[Pool]:
    """Start the engine and yield a pool of it."""
    slots = slots_for(settings.max_concurrency)
    pooled = PooledEngine(name=engine.name, backend=engine, slots=slots, revive=engine.revive)
    try:
        await engine.revive()
        pool = Pool([pooled])
        try:
            yield pool
        finally:
            await pool.close()
    finally:
        await engine.close()


def run(
    queries: Iterable[Query],
    strategy: Strategy | BatchStrategy,
    backend: BackendConfig,
    *,
    seed: int = 0,
    panel: Panel | None = None,
) -> list[Record]:
    """Answer queries in this process and return a record of each, in the order in which they end.

    Each has its `selection`: the samples, their scores, and which one was chosen; None where the
    query ended in an error. With a `panel`, its arms draw the samples. It writes nothing: for runs
    that survive a crash, use `nbest run` or `run_here` with a folder.
    """
    work = Work(run="run", seed=seed, strategy=strategy, directory=None, panel=panel)
    return wait_for(_run(Job(work=work, backend=backend, queries=tuple(queries))))


async def _run(job: Job) -> list[Record]:
    records: list[Record] = []

    def keep(answered: Answered) -> None:
        records.append(replace(answered.record, selection=answered.selection))

    async with open_loop(job.work, job.backend) as here:
        await here.loop.answer_leases(one_lease(job.queries), keep)
        here.loop.settle()
    return records


def ask(
    question: str | tuple[Message, ...],
    strategy: Strategy | BatchStrategy,
    backend: BackendConfig,
    *,
    seed: int = 0,
    panel: Panel | None = None,
) -> Selection:
    """Ask one question, as a chat with one user turn if it is a text.

    With a `panel`, its arms draw the samples.
    BackendError where the engine fails, PartFailed where a part of the user's own does.

    Example: `ask("How many days are in a week?", BestOfN(n=16, select=MajorityVote()), backend)`
    """
    work = Work(run="ask", seed=seed, strategy=strategy, directory=None, panel=panel)
    return wait_for(_ask(question, work, backend))


async def _ask(
    question: str | tuple[Message, ...],
    work: Work,
    backend: BackendConfig,
) -> Selection:
    async with open_loop(work, backend) as here:
        return selection_of(await here.loop.answer(Query(id="q0", prompt=as_chat(question))))


def as_chat(question: str | tuple[Message, ...]) -> tuple[Message, ...]:
    """A question as a chat: one user turn, where it is a text."""
    return (Message(role="user", content=question),) if isinstance(question, str) else question


def selection_of(answered: Answered) -> Selection:
    """The selection of a question that was answered; raises what ended it, if it was not."""
    if answered.selection is not None:
        return answered.selection
    if isinstance(answered.cause, NbestError):
        raise answered.cause
    raise BackendError(answered.record.error) from answered.cause


async def _regularly(show: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(REPORT_S)
        show()


def _progress(here: Here, num_queries: int, elapsed_s: float) -> Progress:
    tally = here.loop.tally
    return snapshot(
        replace(tally, regenerated_tokens=here.loop.pool.regenerated_tokens),
        num_queries=num_queries,
        engines=[engine.view() for engine in here.engines],
        elapsed_s=elapsed_s,
        first_engine_s=0.0,  # it is up before the loop begins
    )
