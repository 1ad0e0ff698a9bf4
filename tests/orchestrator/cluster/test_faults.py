"""Tests of queries, engines and workers that harm others, on Ray: every query still ends.

Processes really die and hang here. What one kill in mid-run does is tested in test_cluster.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from nbest import BestOfN, FakeBackend, MajorityVote, Query, Record, SamplingParams, SeededAnswers
from nbest.experiments.bench.faults.checks import (
    drawn_ids,
    engine_processes,
    repeated_keys,
    same_results,
)
from nbest.experiments.bench.faults.harmful import KillsWorker
from nbest.model_backend.fake.faults import (
    Fails,
    Harm,
    HarmsProcess,
    Journal,
    harm_process,
)
from nbest.model_backend.fake.script import Script
from nbest.orchestrator.cluster.driver import run_on_ray
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.errors import BackendError
from nbest.orchestrator.protocols import Backend, Scorer
from nbest.orchestrator.run.job import Job, Work
from nbest.orchestrator.run.local import run_here
from nbest.orchestrator.run.progress import Progress
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.types import Outcome

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.ray,
    pytest.mark.usefixtures("local_ray"),
]

N = 3
COUNT = 24
FEW = 6
POISON = "the poison"
ENGINES = 2
MAX_RESTARTS = ENGINES + 2  # each engine may die once with it beside others, then two probes die
STALL_S = 6.0  # a process that is starved, and not stopped, must not be taken for one that hangs
CALM = SeededAnswers(answers=("42", "41", "40"), weights=(3, 2, 1), token_s=0.02)


def queries(*, with_poison: bool = True) -> list[Query]:
    """Return harmless queries, with the one that kills in their middle."""
    good = [Query(id=f"q{i}", prompt=f"question {i}") for i in range(COUNT)]
    bad = [Query(id="poison", prompt=POISON)] if with_poison else []
    return [*good[: COUNT // 2], *bad, *good[COUNT // 2 :]]


def job(
    out: Path | None,
    questions: list[Query],
    script: Script = CALM,
    scorer: Scorer = MajorityVote(),  # noqa: B008 # frozen
) -> Job:
    strategy = BestOfN(n=N, select=scorer, params=SamplingParams(max_tokens=8, logprobs=0))
    work = Work(run="t", seed=1, strategy=strategy, directory=None if out is None else str(out))
    return Job(work=work, backend=FakeBackend(script=script, max_concurrency=16), queries=questions)


def silent(progress: Progress) -> None:
    """Show nothing."""


async def answered(todo: Job, cluster: Cluster) -> list[Record]:
    assert todo.work.directory is not None
    with open_run(todo.work.directory, fingerprint={}, config={}, queries=todo.queries):
        return await run_on_ray(todo, cluster, silent)


def endings(records: list[Record]) -> Counter[Outcome]:
    return Counter(record.outcome for record in records)


async def calm_results(folder: Path, scorer: Scorer = MajorityVote()) -> str:  # noqa: B008
    """Return the digest of a run of harmless queries alone."""
    todo = job(folder / "calm", queries(with_poison=False), CALM, scorer)
    assert todo.work.directory is not None
    with open_run(todo.work.directory, fingerprint={}, config={}, queries=todo.queries):
        await run_here(todo, silent)
    return same_results(folder / "calm")


HARMFUL: dict[str, Script] = {
    "exited": HarmsProcess(then=CALM, marker=POISON, harm=Harm.EXIT),
    "stopped": HarmsProcess(then=CALM, marker=POISON, harm=Harm.SIGSTOP),
}


@pytest.mark.parametrize("harm", HARMFUL)
async def test_a_query_that_ends_engines_is_quarantined_and_all_others_are_answered(
    harm: str, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    script = Journal(then=HARMFUL[harm], path=str(journal))
    stall_s = STALL_S if harm == "stopped" else 60.0
    cluster = Cluster(engines=ENGINES, workers=2, stall_timeout_s=stall_s)
    records = await answered(job(tmp_path / "run", queries(), script), cluster)
    assert {r.query_id: r.error for r in records if r.outcome is not Outcome.ANSWERED}.keys() == {
        "poison"
    }
    assert endings(records) == {Outcome.ANSWERED: COUNT, Outcome.QUARANTINED: 1}
    assert engine_processes(journal) - ENGINES <= MAX_RESTARTS
    assert same_results(tmp_path / "run", {"poison"}) == await calm_results(tmp_path)
    assert repeated_keys(tmp_path / "run") == 0


@pytest.mark.parametrize("harm", [Harm.SIGKILL, Harm.SIGSTOP])
async def test_a_query_that_ends_workers_is_quarantined_and_all_others_are_answered(
    harm: Harm, tmp_path: Path
) -> None:
    deaths = tmp_path / "deaths"
    scorer = KillsWorker(query_id="poison", harm=harm, journal=str(deaths))
    stall_s = STALL_S if harm is Harm.SIGSTOP else 60.0
    cluster = Cluster(engines=1, workers=2, stall_timeout_s=stall_s)
    records = await answered(job(tmp_path / "run", queries(), CALM, scorer), cluster)
    assert {r.query_id: r.error for r in records if r.outcome is not Outcome.ANSWERED}.keys() == {
        "poison"
    }
    assert endings(records) == {Outcome.ANSWERED: COUNT, Outcome.QUARANTINED: 1}
    # Silence may have another cause than the query, so it takes one time more to be sure.
    assert 2 <= len(drawn_ids(deaths)) <= 3 + (harm is Harm.SIGSTOP)
    assert same_results(tmp_path / "run", {"poison"}) == await calm_results(tmp_path, scorer)
    assert repeated_keys(tmp_path / "run") == 0


async def test_a_failure_that_kills_nobody_is_an_error_and_no_quarantine(tmp_path: Path) -> None:
    script = Fails(then=CALM, marker=POISON, reason="no luck")
    records = await answered(job(tmp_path / "run", queries(), script), Cluster())
    assert {r.query_id: r.error for r in records if r.outcome is Outcome.ERROR} == {
        "poison": "no luck"
    }
    assert endings(records)[Outcome.ANSWERED] == COUNT


async def test_engines_that_die_of_everything_end_the_run(tmp_path: Path) -> None:
    """Either the run says why it gives up, or every query is quarantined: it does not go on."""
    journal = tmp_path / "journal"
    script = Journal(then=HarmsProcess(then=CALM, marker="", harm=Harm.EXIT), path=str(journal))
    with suppress(BackendError):
        records = await answered(
            job(tmp_path / "run", queries(with_poison=False)[:FEW], script), Cluster()
        )
        assert endings(records) == {Outcome.QUARANTINED: FEW}
    assert engine_processes(journal) <= MAX_RESTARTS * FEW


@dataclass(frozen=True, slots=True, kw_only=True)
class DiesAtStart:
    """A backend whose model kills the process while it is being loaded."""

    max_concurrency: int = 16
    gpus: int = 0

    @property
    def identity(self) -> dict[str, str | int | None]:
        return {}

    @asynccontextmanager
    async def open(self, name: str = "") -> AsyncIterator[Backend]:
        harm_process(Harm.EXIT)
        async with FakeBackend(script=CALM).open(name) as engine:
            yield engine  # nobody gets here


async def test_an_engine_that_dies_while_it_starts_ends_the_run() -> None:
    work = job(None, queries(with_poison=False)).work
    todo = Job(work=work, backend=DiesAtStart(), queries=queries(with_poison=False))
    with pytest.raises(BackendError):
        await run_on_ray(todo, Cluster(engines=ENGINES), silent)


async def test_all_processes_of_a_run_but_its_driver_die_at_once(tmp_path: Path) -> None:
    slow = SeededAnswers(answers=("42", "41", "40"), weights=(3, 2, 1), token_s=0.5)
    todo = job(tmp_path / "run", queries(with_poison=False), slow)
    running = asyncio.create_task(answered(todo, Cluster(engines=ENGINES, workers=2)))
    while not list((tmp_path / "run").glob("samples/*.parquet")):
        await asyncio.sleep(0.01)
        assert not running.done()
    victims = [*children(b"ray::EngineServer"), *children(b"ray::QueryWorker")]
    assert len(victims) >= ENGINES + 2
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    assert endings(await running) == {Outcome.ANSWERED: COUNT}
    assert same_results(tmp_path / "run") == await calm_results(tmp_path)
    assert repeated_keys(tmp_path / "run") == 0


def children(title: bytes) -> list[int]:
    """Return processes of that title whose grandparent is this one: our own Ray started them."""
    parents = {int(p.name): _parent(p) for p in Path("/proc").iterdir() if p.name.isdigit()}
    ours = [pid for pid, parent in parents.items() if parents.get(parent) == os.getpid()]
    return [pid for pid in ours if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(title)]


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended
        return 0
