"""`nbest bench control`: what everything around an engine costs, measured with fake engines.

Samples pass through driver, workers, pool, scorer and store, and are on disk when the clock stops.
Each measurement has a process of its own, so that the memory of one does not show in the next.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from nbest.model_backend.fake.engine import FakeBackend
from nbest.model_backend.fake.script import SeededAnswers
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.run.job import Job, Work
from nbest.orchestrator.run.local import run_here
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Query, Record
from nbest.scorers.answers.extract import LastNumber
from nbest.scorers.votes.majority import MajorityVote


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How many queries pass through, with how many samples each."""

    queries: int
    n: int

    @property
    def samples(self) -> int:
        return self.queries * self.n


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCost:
    """What a load costs in one place: the median of some rounds."""

    place: str  # "local": one process; "ray": driver, worker and engines apart
    queries: int
    n: int
    rounds: int
    seconds: float
    fixed_s: float  # of these, what one query with one sample takes
    samples_per_s: float  # all of the seconds counted
    us_per_sample: float  # the fixed seconds not counted: what one sample more costs
    driver_growth_mb: float  # how far its memory rose above that after one query

    def as_json(self) -> dict[str, str | int | float]:
        return asdict(self)


def measure(place: str, load: Load, cluster: Cluster, rounds: int = 1) -> LoadCost:
    """Run a load `rounds` times in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as process:
        return process.submit(measure_here, place, load, cluster, rounds).result()


def measure_here(place: str, load: Load, cluster: Cluster, rounds: int = 1) -> LoadCost:
    """Run a load in this process. One query goes first: it imports and starts what is needed."""
    with _session(place, cluster):
        fixed_s = min(run_once(place, Load(queries=1, n=1), cluster) for _ in range(3))
        gc.freeze()  # as `nbest run` does
        before_mb = memory_mb("VmRSS")
        seconds = median(run_once(place, load, cluster) for _ in range(rounds))
        growth_mb = memory_mb("VmHWM") - before_mb
    return LoadCost(
        place=place,
        queries=load.queries,
        n=load.n,
        rounds=rounds,
        seconds=round(seconds, 3),
        fixed_s=round(fixed_s, 3),
        samples_per_s=round(load.samples / seconds, 1),
        us_per_sample=round((seconds - fixed_s) / load.samples * 1e6, 2),
        driver_growth_mb=round(growth_mb, 1),
    )


def memory_mb(key: str) -> float:
    """VmRSS, the memory of this process, or VmHWM, the most it ever was; nan except on Linux."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    sizes = [int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{key}:")]
    return sizes[0] if sizes else float("nan")


def run_once(place: str, load: Load, cluster: Cluster) -> float:
    """Seconds from the first query to the last commit, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        job = make_job(load, Path(folder) / "run")
        directory = job.work.directory
        assert directory is not None
        with open_run(directory, fingerprint={}, config={}, queries=job.queries):
            return run_local(job) if place == "local" else run_ray(job, cluster)


def _session(place: str, cluster: Cluster) -> AbstractContextManager[None]:
    """A session of Ray for all rounds; nothing for one process."""
    if place == "local":
        return nullcontext()
    from nbest.orchestrator.cluster.session import ray_session

    return ray_session(cluster)


def make_job(load: Load, directory: Path) -> Job:
    """A job for engines that answer at once; answers are last numbers, and voted on."""
    strategy = BestOfN(n=load.n, select=MajorityVote(), extract=LastNumber())
    script = SeededAnswers(answers=("42", "41", "40"), weights=(3, 2, 1))
    return Job(
        work=Work(run="bench", seed=1, strategy=strategy, directory=str(directory)),
        backend=FakeBackend(script=script, max_concurrency=4096),
        queries=[Query(id=f"q{i}", prompt=f"question {i}") for i in range(load.queries)],
    )


def run_local(job: Job) -> float:
    started_s = time.monotonic()
    records = wait_for(run_here(job, lambda progress: None))
    _require_all(records, job)
    return time.monotonic() - started_s


def run_ray(job: Job, cluster: Cluster) -> float:
    """Time a job in a session of Ray, whose processes are started before the clock."""
    from nbest.orchestrator.cluster.actors import start_engines, start_workers
    from nbest.orchestrator.cluster.driver import Driver

    async def timed() -> float:
        assert job.backend is not None
        engines = start_engines(job.backend, cluster)
        workers = start_workers(job, cluster)
        await asyncio.gather(*(handle.actor.ready.remote() for handle in engines))
        await asyncio.gather(*(worker.join.remote(engines) for worker in workers))
        driver = Driver(job, engines, workers, lambda progress: None, have_joined=True)
        started_s = time.monotonic()
        try:
            _require_all(await driver.run(), job)
            return time.monotonic() - started_s
        finally:
            await driver.close()

    return wait_for(timed())


def _require_all(records: Sequence[Record], job: Job) -> None:
    answered = sum(record.answer is not None for record in records)
    assert answered == len(job.queries), f"{answered} of {len(job.queries)} queries were answered"
