"""Carries out a plan in a run directory: uses stored samples and generates the missing ones.

It knows no terminal; progress goes to a `report` function.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence, Set
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace

from nbest.experiments.config.strategy import Sampling
from nbest.experiments.language.optional_packages import optional
from nbest.experiments.runs.gold_file import write_gold
from nbest.experiments.runs.plan import Plan
from nbest.experiments.runs.resume import (
    batch_is_complete,
    has_all_samples,
    is_complete,
    needs_engine,
)
from nbest.experiments.runs.scope import require_same_dataset
from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.protocols import BatchStrategy
from nbest.orchestrator.run.job import Job, Work
from nbest.orchestrator.run.local import run_here
from nbest.orchestrator.run.loop import Loop, one_lease
from nbest.orchestrator.run.progress import Report
from nbest.orchestrator.store.opening import OpenRun, open_run
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.store.run_store import RunStore, open_store
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Outcome, Query, Record, Usage

# Often enough to keep small files below a few thousand, seldom enough not to slow a run.
TIDY_S = 300.0


def carry_out(
    plan: Plan, out: StrPath, report: Report, *, retry_quarantined: bool = False
) -> list[Record]:
    """Answer the questions without an answer; returns the record of every question of the plan.

    Questions that ended in an error are asked again, quarantined ones only on request.
    """
    gc.freeze()  # imported modules stay alive: collecting among them takes time
    config = plan.config.model_dump(mode="json", by_alias=True)
    require_same_dataset(out, {query.id for query in plan.prompts.queries}, config["dataset"])
    with open_run(
        out, fingerprint=plan.fingerprint(), config=config, queries=plan.prompts.queries
    ) as run:
        write_gold(out, plan.gold)
        done = run.done(repr(plan.strategy), retry_quarantined=retry_quarantined)
        answered = wait_for(_answer_tidily(plan, run, done, report))
        if answered:
            run.compact()
    return records_of(plan, out, answered)


async def _answer_tidily(plan: Plan, run: OpenRun, done: Set[str], report: Report) -> list[Record]:
    async with tidied(run.compact):
        return await _answer(plan, done, run.path, report)


@asynccontextmanager
async def tidied(compact: Callable[[], None], every_s: float = TIDY_S) -> AsyncIterator[None]:
    """Call `compact` in a thread every `every_s` seconds, never after the context has ended.

    Workers write a few files a second, and a run may take days.
    """
    is_over = asyncio.Event()

    async def tidy() -> None:
        while not is_over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(is_over.wait(), every_s)
            if not is_over.is_set():
                await asyncio.to_thread(compact)

    tidying = asyncio.create_task(tidy())
    try:
        yield
    finally:
        is_over.set()
        await tidying


def records_of(plan: Plan, out: StrPath, answered: Iterable[Record] = ()) -> list[Record]:
    """The records of the plan's questions and strategy, those that cannot be asked last.

    Records of questions `answered` just now replace stored ones: a quarantine that is in doubt,
    because no engine has ever worked, is not in the store.
    """
    ids = [query.id for query in plan.prompts.queries] + [item.id for item in plan.prompts.bad]
    records = {r.query_id: r for r in answered}
    if any(query_id not in records for query_id in ids):
        strategy = repr(plan.strategy)
        stored = {r.query_id: r for r in RunReader(out).records() if r.strategy == strategy}
        records = stored | records
    return [records[query_id] for query_id in ids if query_id in records]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endings:
    """How the questions of a run ended, without what each of them said."""

    total: int
    failed: tuple[Record, ...]
    out_of_budget: int  # got no sample, for the budget was spent
    usage: Usage = Usage()  # of all questions together


def endings_of(records: Sequence[Record]) -> Endings:
    return Endings(
        total=len(records),
        failed=tuple(failures(records)),
        out_of_budget=sum(record.outcome is Outcome.OUT_OF_BUDGET for record in records),
        usage=sum((record.usage for record in records), Usage()),
    )


def failures(records: Iterable[Record]) -> list[Record]:
    """The records of questions that got neither an answer nor an abstention."""
    return [r for r in records if r.outcome in (Outcome.ERROR, Outcome.QUARANTINED)]


def _work(plan: Plan, out: StrPath) -> Work:
    return Work(
        run=plan.config.name,
        seed=plan.config.seed,
        strategy=plan.strategy,
        directory=os.fspath(out),
        panel=plan.panel,
    )


async def _answer(plan: Plan, done: Set[str], out: StrPath, report: Report) -> list[Record]:
    """Answer the questions not `done`, with engines only if samples are missing; their records."""
    strategy = repr(plan.strategy)
    pending = [query for query in plan.prompts.queries if query.id not in done]
    if pending and isinstance(plan.strategy, BatchStrategy):  # it decides for all together
        pending = list(plan.prompts.queries)
    records_there = RunReader(out).records() if plan.prompts.bad else []
    refused = {record.query_id for record in records_there if record.strategy == strategy}
    work = _work(plan, out)
    records: list[Record] = []
    store = await open_store(out)
    async with aclosing(store):
        for item in plan.prompts.bad:
            if item.id not in refused:
                store.add_record(_refusal(item.id, item.error, strategy))
        complete = await _complete(store, pending, plan.strategy)
        loop = Loop(
            strategy=plan.strategy, pool=Pool([]), store=store, run=work.run, panel=plan.panel
        )
        await loop.answer_leases(
            one_lease(complete), lambda answered: records.append(answered.record)
        )
    ids = {query.id for query in complete}
    missing = [query for query in pending if query.id not in ids]
    has_samples = [await has_all_samples(store, query, plan.strategy) for query in missing]
    if is_sampled := all(has_samples):  # then no arm draws any more
        work = replace(work, panel=None)
    backend = None if is_sampled and not needs_engine(plan.strategy) else plan.backend
    job = Job(work=work, backend=backend, queries=missing)
    return [*records, *await _generate(plan, job, report)]


async def _complete(store: RunStore, queries: list[Query], strategy: Sampling) -> list[Query]:
    """The queries that need no engine."""
    if isinstance(strategy, BatchStrategy):
        return queries if await batch_is_complete(store, queries, strategy) else []
    return [query for query in queries if await is_complete(store, query, strategy)]


async def _generate(plan: Plan, job: Job, report: Report) -> list[Record]:
    if not job.queries:
        return []
    if plan.config.cluster.local:
        return await run_here(job, report)
    optional("ray", "runs on Ray (all but those with cluster.local: true)", "ray")
    from nbest.orchestrator.cluster.driver import run_on_ray  # Ray takes a second to import

    return await run_on_ray(job, plan.cluster(), report)


def _refusal(query_id: str, error: str, strategy: str) -> Record:
    """The record of a question that cannot be asked."""
    return Record(query_id=query_id, strategy=strategy, outcome=Outcome.ERROR, error=error)
