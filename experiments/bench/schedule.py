"""`nbest bench schedule`: how well a pool keeps its engines busy, in virtual time.

The real loop, pool and strategy work with fake engines on a clock that jumps, so the figures are
about the order of the work alone: they are the same on every machine.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass

from nbest.model_backend.fake.clocks import VirtualTime
from nbest.model_backend.fake.engine import FakeBackend, FakeEngine
from nbest.model_backend.fake.script import Reply
from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.engines.pool_engine import PooledEngine, slots_for
from nbest.orchestrator.run.loop import Answered, Loop
from nbest.orchestrator.store.run_store import MemoryStore
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.types import Query, Request
from nbest.scorers.baselines import First


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A script whose samples take `mean_s`, give or take half; one in `every` takes longer."""

    mean_s: float = 1.0
    every: int = 64
    times_longer: float = 1.0

    def __call__(self, request: Request) -> Reply:
        seed = request.seed or 0
        duration_s = self.mean_s * (0.5 + (seed // self.every) % 1000 / 999)
        factor = self.times_longer if seed % self.every == 0 else 1.0
        return Reply(tokens=("7",), token_s=factor * duration_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How many samples are drawn, and by how many engines."""

    name: str
    queries: int
    n: int
    engines: int
    max_concurrency: int
    pace: Pace


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long the work took, in virtual seconds, and how evenly it was shared."""

    name: str
    queries: int
    n: int
    engines: int
    makespan_s: float
    ideal_s: float  # no schedule is shorter: all slots busy to the end, or the longest sample
    ratio: float  # of the two
    imbalance: float  # how much more work than the mean the busiest engine had, as a share

    def as_json(self) -> dict[str, str | int | float]:
        return asdict(self)


ONE_QUERY = Work(name="one query", queries=1, n=10_000, engines=4, max_concurrency=128, pace=Pace())
STRAGGLERS = Work(
    name="1 sample in 64 is 20 times longer",
    queries=1200,
    n=16,
    engines=4,
    max_concurrency=32,
    pace=Pace(times_longer=20.0),
)


def simulate(work: Work) -> Schedule:
    """Do the work once, and compare the time with the ideal."""
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        makespan_s, answered = runner.run(_answer_all(work))
    samples = [s for a in answered if a.selection is not None for s in a.selection.samples]
    assert len(samples) == work.queries * work.n
    work_s: defaultdict[str, float] = defaultdict(float)  # by engine
    for sample in samples:
        work_s[sample.engine] += sample.total_s
    total_s = sum(work_s.values())
    num_slots = work.engines * slots_for(work.max_concurrency)
    ideal_s = max(total_s / num_slots, max(sample.total_s for sample in samples))
    return Schedule(
        name=work.name,
        queries=work.queries,
        n=work.n,
        engines=work.engines,
        makespan_s=round(makespan_s, 3),
        ideal_s=round(ideal_s, 3),
        ratio=round(makespan_s / ideal_s, 4),
        imbalance=round(max(work_s.values()) * work.engines / total_s - 1, 4),
    )


async def _answer_all(work: Work) -> tuple[float, list[Answered]]:
    settings = FakeBackend(script=work.pace, max_concurrency=work.max_concurrency)
    slots = slots_for(work.max_concurrency)
    names = [f"engine{i}" for i in range(work.engines)]
    pool = Pool([PooledEngine(name=x, backend=FakeEngine(settings, x), slots=slots) for x in names])
    loop = Loop(strategy=BestOfN(n=work.n, select=First()), pool=pool, store=MemoryStore())
    answered: list[Answered] = []
    await loop.answer_all(_queries(work.queries), answered.append)
    return asyncio.get_running_loop().time(), answered


async def _queries(count: int) -> AsyncIterator[Query]:
    for i in range(count):
        yield Query(id=f"q{i}", prompt=f"question {i}")
