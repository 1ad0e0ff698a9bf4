"""Runs on a local Ray cluster with fake engines: fan-out, durability, deaths of real processes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from nbest import (
    BatchBudget,
    BatchStrategy,
    BestOfN,
    FakeBackend,
    MajorityVote,
    Query,
    Record,
    Reply,
    Request,
    SamplingParams,
    SeededAnswers,
    Strategy,
    WithinBudget,
)
from nbest.orchestrator.cluster.actors import start_engines, start_workers
from nbest.orchestrator.cluster.driver import Driver, run_on_ray
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.errors import EngineDead, InputError, RequestRejected
from nbest.orchestrator.run.job import Job, Work
from nbest.orchestrator.run.local import run_here
from nbest.orchestrator.run.progress import Progress
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.reader import RunReader

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.ray,
    pytest.mark.usefixtures("local_ray"),
]

N = 6
BUDGET = WithinBudget(
    budget=BatchBudget(average=6, max_n=20, round_size=4),
    select=MajorityVote(),
    params=SamplingParams(max_tokens=8),
)
VOTE = BestOfN(n=N, select=MajorityVote(), params=SamplingParams(max_tokens=8, logprobs=0))


def answers(token_s: float = 0.0) -> FakeBackend:
    script = SeededAnswers(answers=("42", "41", "40"), weights=(3, 2, 1), token_s=token_s)
    return FakeBackend(script=script, max_concurrency=16)


def job(
    out: Path | None,
    count: int,
    backend: FakeBackend,
    strategy: Strategy | BatchStrategy = VOTE,
) -> Job:
    work = Work(run="t", seed=1, strategy=strategy, directory=None if out is None else str(out))
    queries = [Query(id=f"q{i}", prompt=f"question {i}") for i in range(count)]
    return Job(work=work, backend=backend, queries=queries)


def plain(records: list[Record]) -> dict[str, tuple[object, ...]]:
    """Return what must not depend on where and in which order a run was done."""
    return {r.query_id: (r.outcome, r.index, r.answer, r.confidence, r.usage) for r in records}


def silent(progress: Progress) -> None:
    """Show nothing."""


@pytest.mark.parametrize(("engines", "workers"), [(1, 1), (3, 2)])
async def test_the_cluster_answers_as_one_process_does(
    engines: int, workers: int, tmp_path: Path
) -> None:
    here = await run_here(job(None, 20, answers()), silent)
    todo = job(tmp_path / "run", 20, answers())
    with open_run(tmp_path / "run", fingerprint={}, config={}, queries=todo.queries):
        there = await run_on_ray(todo, Cluster(engines=engines, workers=workers), silent)
    assert plain(there) == plain(here)
    assert plain(RunReader(tmp_path / "run").records()) == plain(here)
    stored = dict(RunReader(tmp_path / "run").samples())
    assert {q: len(samples) for q, samples in stored.items()} == {f"q{i}": N for i in range(20)}


async def test_one_query_spreads_over_all_engines(tmp_path: Path) -> None:
    strategy = BestOfN(n=45, select=MajorityVote())
    work = Work(run="t", seed=1, strategy=strategy, directory=str(tmp_path / "run"))
    todo = Job(work=work, backend=answers(token_s=0.2), queries=[Query(id="q", prompt="?")])
    with open_run(tmp_path / "run", fingerprint={}, config={}, queries=todo.queries):
        engines = start_engines(todo.backend, Cluster(engines=3))
        await asyncio.gather(*(handle.actor.ready.remote() for handle in engines))
        driver = Driver(todo, engines, start_workers(todo, Cluster()), silent)
        await driver.run()
        await driver.close()
    ((_, samples),) = RunReader(tmp_path / "run").samples()
    shares = Counter(s.engine for s in samples)
    assert len(shares) == 3
    assert max(shares.values()) - min(shares.values()) <= 3


async def test_progress_counts_up_to_the_end(tmp_path: Path) -> None:
    snapshots: list[Progress] = []
    await run_on_ray(job(None, 10, answers()), Cluster(engines=2, workers=2), snapshots.append)
    last = snapshots[-1]
    assert (last.queries, last.num_queries, last.errors) == (10, 10, 0)
    assert (last.samples_drawn, last.generated_tokens) == (10 * N, 10 * N)
    assert (last.engines_up, last.num_engines) == (2, 2)
    assert [p.queries for p in snapshots] == sorted(p.queries for p in snapshots)


async def test_a_rejected_request_keeps_its_reason_through_ray() -> None:
    def script(request: Request) -> Reply:
        no = RequestRejected("the prompt has 9 tokens") if "3" in str(request.prompt) else None
        return Reply(tokens=("42",), error=no)

    records = await run_on_ray(job(None, 5, FakeBackend(script=script)), Cluster(), silent)
    assert {r.query_id: r.error for r in records if r.error} == {"q3": "the prompt has 9 tokens"}


class NoModel(FakeBackend):
    """A backend whose model cannot be loaded."""

    def open(self, name: str = "") -> object:  # type: ignore[override]
        raise InputError("model must be there, got 'nowhere'")


async def test_a_model_that_cannot_be_loaded_is_wrong_input_at_once() -> None:
    backend = NoModel(script=answers().script)
    with pytest.raises(InputError, match="model must be there, got 'nowhere'"):
        await run_on_ray(job(None, 3, backend), Cluster(), silent)


async def pid_of(actor: object) -> int:
    return int(await actor.__ray_call__.remote(lambda self: os.getpid()))  # type: ignore[attr-defined]


async def test_a_budget_is_shared_over_the_cluster_and_survives_its_worker(tmp_path: Path) -> None:
    """The one worker that decides is killed half way: the whole batch is decided again."""
    count = 30
    here = await run_here(job(None, count, answers(), BUDGET), silent)
    todo = job(tmp_path / "run", count, answers(token_s=0.1), BUDGET)
    cluster = Cluster(engines=2, workers=1)
    half_way = asyncio.Event()

    def watch(progress: Progress) -> None:
        if progress.samples_drawn >= count * 4:
            half_way.set()

    with open_run(tmp_path / "run", fingerprint={}, config={}, queries=todo.queries):
        workers = start_workers(todo, cluster)
        driver = Driver(todo, start_engines(todo.backend, cluster), workers, watch)
        running = asyncio.create_task(driver.run())
        await half_way.wait()
        assert not running.done()
        os.kill(await pid_of(workers[0]), signal.SIGKILL)
        records = await running
        await driver.close()
    assert plain(records) == plain(here)
    assert sum(record.usage.samples for record in records) == count * 6
    assert sum(len(samples) for _, samples in RunReader(tmp_path / "run").samples()) == count * 6


@pytest.mark.parametrize("victim", ["engine", "worker"])
async def test_a_killed_process_loses_no_sample(victim: str, tmp_path: Path) -> None:
    """SIGKILL in the middle: the run ends with the records of an unbroken one."""
    count = 40
    unbroken = await run_here(job(None, count, answers()), silent)
    todo = job(tmp_path / "run", count, answers(token_s=0.1))
    cluster = Cluster(engines=2, workers=2)
    half_way = asyncio.Event()

    def watch(progress: Progress) -> None:
        if progress.queries >= count // 4:
            half_way.set()

    with open_run(tmp_path / "run", fingerprint={}, config={}, queries=todo.queries):
        engines = start_engines(todo.backend, cluster)
        workers = start_workers(todo, cluster)
        driver = Driver(todo, engines, workers, watch)
        running = asyncio.create_task(driver.run())
        await half_way.wait()
        assert not running.done()
        # By id: a query that is half drawn has gaps between its indices.
        before = {s.id: s for _, samples in RunReader(tmp_path / "run").samples() for s in samples}
        os.kill(
            await pid_of(engines[0].actor if victim == "engine" else workers[0]), signal.SIGKILL
        )
        records = await running
        await driver.close()
    assert plain(records) == plain(unbroken)
    after = {s.id: s for _, samples in RunReader(tmp_path / "run").samples() for s in samples}
    assert len(after) == count * N
    assert before.items() <= after.items()  # what was committed is what is there now


async def test_engines_that_only_die_end_the_run_with_the_reason() -> None:
    def script(request: Request) -> Reply:
        return Reply(tokens=(), error=EngineDead("out of memory"))

    with pytest.raises(EngineDead, match="out of memory"):
        await run_on_ray(job(None, 30, FakeBackend(script=script)), Cluster(), silent)
