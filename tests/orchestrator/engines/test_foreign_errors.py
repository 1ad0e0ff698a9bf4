"""Whatever a backend of somebody else raises: a run ends in a typed error, and never hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from nbest import BestOfN, MajorityVote
from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.engines.pool_engine import PooledEngine
from nbest.orchestrator.errors import BackendError, EngineDead
from nbest.orchestrator.protocols import Backend, BackendConfig
from nbest.orchestrator.run.job import Job, Work
from nbest.orchestrator.run.local import run_here
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.tasks import Background
from nbest.orchestrator.types import Query, Request, Sample

FOREIGN = (
    ConnectionError("the server is gone"),
    KeyError("weights"),
    AssertionError(),
    OSError(28, "No space left on device"),
    RuntimeError("CUDA error\nof many lines"),
)
QUERIES = [Query(id="q", prompt="p")]


class Mortal:
    """An engine that dies of everything."""

    async def generate(self, request: Request) -> Sample:
        raise EngineDead("boom")

    async def abort(self, request_id: str) -> None:
        pass


@dataclass
class Opens:
    """Settings of a backend that opens its engine some times, and then fails."""

    error: BaseException
    times: int
    opened: int = 0
    max_concurrency: int = 4
    gpus: int = 0
    identity: dict[str, int] = field(default_factory=dict)

    @asynccontextmanager
    async def open(self, name: str = "") -> AsyncIterator[Backend]:
        self.opened += 1
        if self.opened > self.times:
            raise self.error
        yield Mortal()


def job(backend: BackendConfig) -> Job:
    strategy = BestOfN(n=2, select=MajorityVote())
    work = Work(run="r", seed=0, strategy=strategy, directory=None)
    return Job(work=work, backend=backend, queries=QUERIES)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("times", [1, 2])
async def test_an_engine_that_cannot_be_opened_again_ends_the_run(
    error: Exception, times: int
) -> None:
    with pytest.raises(EngineDead, match="it cannot be started again"):
        await run_here(job(Opens(error, times)), lambda progress: None)


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
async def test_an_engine_that_cannot_be_opened_at_all_is_one_line(error: Exception) -> None:
    with pytest.raises(BackendError) as caught:
        await run_here(job(Opens(error, 0)), lambda progress: None)
    assert str(caught.value).count("\n") == 0
    assert type(error).__name__ in str(caught.value)


def pooled(revive: Callable[[], object] | None = None) -> PooledEngine:
    return PooledEngine(name="e", backend=Mortal(), slots=1, revive=revive)  # type: ignore[arg-type]


def request(name: str) -> Request:
    return Request(id=name, prompt="", params=SamplingParams(), seed=1)


@pytest.mark.timeout(20)
async def test_a_revival_that_fails_in_any_way_fails_those_that_wait() -> None:
    async def revive() -> None:
        raise ConnectionError("gone for good")

    pool = Pool([pooled(revive)])
    outcomes = await asyncio.gather(
        *(pool.generate(request(f"r/q/s{i}")) for i in range(3)), return_exceptions=True
    )
    assert [str(outcome) for outcome in outcomes] == ["gone for good"] * 3


@pytest.mark.timeout(20)
async def test_a_pool_without_engines_refuses() -> None:
    with pytest.raises(EngineDead, match="the pool has no engine"):
        await Pool([]).generate(request("r/q/s0"))


async def test_a_cancellation_in_the_moment_of_a_failure_is_a_cancellation() -> None:
    up = asyncio.Event()
    pool = Pool([PooledEngine(name="e", backend=Mortal(), slots=1, is_up=False, revive=up.wait)])
    waiting = asyncio.create_task(pool.generate(request("r/q/s0")))
    await asyncio.sleep(0)
    pool._fail(EngineDead("gone"))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await pool.close()


async def test_work_in_the_background_that_fails_is_told_of() -> None:
    told: list[BaseException] = []
    background = Background(told.append)

    async def fails() -> None:
        raise ZeroDivisionError("unseen")

    async def ends() -> None:
        pass

    background.begin(fails())
    background.begin(ends())
    background.begin(asyncio.sleep(3600))
    await background.wait(0.01)
    background.cancel()
    await background.wait(1.0)
    assert [str(error) for error in told] == ["unseen"]
