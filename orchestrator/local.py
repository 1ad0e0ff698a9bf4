"""Runs in this process, without Ray: the same loop over a pool of one engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

from orchestrator.errors import BackendError
from orchestrator.job import Job, Work
from orchestrator.loop import Loop
from orchestrator.pool import Pool, PooledEngine, slots_for
from orchestrator.progress import Progress, Report, Tally, snapshot
from orchestrator.store import open_store
from orchestrator.types import BackendConfig, Message, Query, Record, Selection, Strategy

T = TypeVar("T")

REPORT_S = 0.25


async def run_here(job: Job, report: Report) -> list[Record]:
    """Answer the queries of a job in this process; returns when every query has a record."""
    records: list[Record] = []
    async with open_loop(job.work, job.backend) as loop:
        started_s = time.monotonic()

        def show() -> None:
            report(_progress(loop, len(job.queries), time.monotonic() - started_s))

        watching = asyncio.create_task(_regularly(show))
        try:
            await loop.answer_all(_each(job.queries), lambda done: records.append(done.record))
        finally:
            watching.cancel()
            show()
    return records


@asynccontextmanager
async def open_loop(work: Work, backend: BackendConfig) -> AsyncIterator[Loop]:
    """The main loop over one live engine; at the end everything sampled is durable."""
    name = "engine0"
    store = await open_store(work.directory)
    async with aclosing(store), backend.open(name) as engine:
        slots = slots_for(backend.max_concurrency)
        pool = Pool([PooledEngine(name=name, backend=engine, slots=slots)])
        yield Loop(
            strategy=work.strategy,
            pool=pool,
            store=store,
            run=work.run,
            seed=work.seed,
            tally=Tally(),
        )


def run(
    queries: Iterable[Query],
    strategy: Strategy,
    backend: BackendConfig,
    *,
    seed: int = 0,
) -> list[Record]:
    """Answer queries in this process and return a record of each, in the order in which they end.

    Nothing is written: for runs that survive a crash, use `nbest run` or `run_here` with a folder.
    """
    work = Work(run="run", seed=seed, strategy=strategy, directory=None)
    job = Job(work=work, backend=backend, queries=tuple(queries))
    return wait_for(run_here(job, lambda progress: None))


def ask(
    question: str | tuple[Message, ...],
    strategy: Strategy,
    backend: BackendConfig,
    *,
    seed: int = 0,
) -> Selection:
    """Ask one question, as a chat with one user turn if it is a text; BackendError if it fails.

    Example: `ask("What is 17 + 25?", BestOfN(n=16, select=MajorityVote()), VLLM("smollm2-135m"))`
    """
    return wait_for(_ask(question, strategy, backend, seed))


async def _ask(
    question: str | tuple[Message, ...], strategy: Strategy, backend: BackendConfig, seed: int
) -> Selection:
    chat = (Message(role="user", content=question),) if isinstance(question, str) else question
    work = Work(run="ask", seed=seed, strategy=strategy, directory=None)
    async with open_loop(work, backend) as loop:
        answered = await loop.answer(Query(id="q0", prompt=chat))
    if answered.selection is None:
        raise BackendError(answered.record.error)
    return answered.selection


def wait_for(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end, also where an event loop is running already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


async def _each(queries: Iterable[Query]) -> AsyncIterator[Query]:
    for query in queries:
        yield query


async def _regularly(show: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(REPORT_S)
        show()


def _progress(loop: Loop, num_queries: int, elapsed_s: float) -> Progress:
    return snapshot(
        loop.tally,
        num_queries=num_queries,
        engines_up=loop.pool.engines_up,
        num_engines=1,
        elapsed_s=elapsed_s,
        first_engine_s=0.0,  # it is up before the loop begins
    )
