"""`nbest bench control`: what everything around an engine costs, measured with fake engines.

Samples pass through driver, workers, pool, scorer and store, and are on disk when the clock stops.
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from model_backend import FakeBackend, SeededAnswers
from orchestrator.cluster_settings import Cluster
from orchestrator.job import Job, Work
from orchestrator.local import run_here
from orchestrator.store_run import open_run
from orchestrator.strategies import BestOfN
from orchestrator.types import Query, Record
from scorers import LastNumber, MajorityVote

Timed = Callable[[Job], float]  # seconds from the first query to the last commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much passes through."""

    queries: int
    n: int

    @property
    def samples(self) -> int:
        return self.queries * self.n


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One measurement."""

    place: str  # "local": one process; "ray": driver, worker and engines apart
    queries: int
    n: int
    samples_per_s: float
    us_per_sample: float
    driver_mb: float  # peak memory of the driver's process so far

    def as_json(self) -> dict[str, str | int | float]:
        return asdict(self)


def measure(place: str, load: Load, cluster: Cluster) -> Measured:
    """Run a load once, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        job = make_job(load, Path(folder) / "run")
        directory = job.work.directory
        assert directory is not None
        with open_run(directory, fingerprint={}, config={}, queries=job.queries):
            seconds = run_local(job) if place == "local" else run_ray(job, cluster)
    return Measured(
        place=place,
        queries=load.queries,
        n=load.n,
        samples_per_s=round(load.samples / seconds, 1),
        us_per_sample=round(seconds / load.samples * 1e6, 2),
        driver_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )


def make_job(load: Load, directory: Path) -> Job:
    """Engines that answer at once; answers are read by the last number and voted on."""
    strategy = BestOfN(n=load.n, select=MajorityVote(), extract=LastNumber())
    script = SeededAnswers(answers=("42", "41", "40"), weights=(3, 2, 1))
    return Job(
        work=Work(run="bench", seed=1, strategy=strategy, directory=str(directory)),
        backend=FakeBackend(script=script, max_concurrency=4096),
        queries=[Query(id=f"q{i}", prompt=f"question {i}") for i in range(load.queries)],
    )


def run_local(job: Job) -> float:
    started_s = time.monotonic()
    records = asyncio.run(run_here(job, lambda progress: None))
    _require_all(records, job)
    return time.monotonic() - started_s


def run_ray(job: Job, cluster: Cluster) -> float:
    """Processes are started before the clock is."""
    from orchestrator.cluster import Driver
    from orchestrator.cluster_start import ray_session, start_engines, start_workers

    async def timed() -> float:
        engines = start_engines(job.backend, cluster)
        workers = start_workers(job, cluster)
        await asyncio.gather(*(seat.actor.ready.remote() for seat in engines))
        await asyncio.gather(*(worker.join.remote(engines) for worker in workers))
        driver = Driver(job, engines, workers, lambda progress: None, have_joined=True)
        started_s = time.monotonic()
        try:
            _require_all(await driver.run(), job)
            return time.monotonic() - started_s
        finally:
            await driver.close()

    with ray_session(cluster):
        return asyncio.run(timed())


def _require_all(records: Sequence[Record], job: Job) -> None:
    answered = sum(record.answer is not None for record in records)
    assert answered == len(job.queries), f"{answered} of {len(job.queries)} queries were answered"
