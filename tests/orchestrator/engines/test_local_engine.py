"""The engine of one process: opened again after a death, and metered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from nbest import BestOfN, FakeBackend, MajorityVote, Query, Reply, Request, SamplingParams
from nbest.model_backend.fake.engine import FakeEngine
from nbest.orchestrator.engines.local_engine import LocalEngine
from nbest.orchestrator.errors import EngineDead, InputError
from nbest.orchestrator.run.job import Job, Work
from nbest.orchestrator.run.local import run_here
from nbest.orchestrator.run.progress import Progress


class Mortal(FakeBackend):
    """Opens engines of which the first `deaths` die at once, and logs every opening and closing."""

    def __init__(self, deaths: int) -> None:
        super().__init__(script=self.says)
        object.__setattr__(self, "log", [])
        object.__setattr__(self, "deaths", deaths)

    log: list[str]
    deaths: int

    def says(self, request: Request) -> Reply:
        died = self.log.count("open") <= self.deaths
        return Reply(tokens=("7",), error=EngineDead("core died") if died else None)

    @asynccontextmanager
    async def open(self, name: str = "") -> AsyncIterator[FakeEngine]:
        self.log.append("open")
        async with super().open(name) as engine:
            yield engine
        self.log.append("close")


def request() -> Request:
    return Request(id="r", prompt="?", params=SamplingParams(), seed=1)


async def test_reviving_clears_the_old_engine_away_first() -> None:
    backend = Mortal(deaths=1)
    engine = LocalEngine(backend, "e0")
    await engine.revive()
    with pytest.raises(EngineDead, match="core died"):
        await engine.generate(request())
    await engine.revive()
    assert (await engine.generate(request())).text == "7"
    await engine.close()
    assert backend.log == ["open", "close", "open", "close"]


async def test_before_it_is_opened_and_after_it_is_closed_it_is_dead() -> None:
    engine = LocalEngine(Mortal(deaths=0), "e0")
    with pytest.raises(EngineDead):
        await engine.generate(request())
    await engine.abort("r")


class Missing(FakeBackend):
    """A model that cannot be opened."""

    def open(self, name: str = "") -> object:  # type: ignore[override]
        raise InputError("model must be there, got 'nowhere'")


async def test_a_first_start_that_fails_says_so_itself() -> None:
    engine = LocalEngine(Missing(script=lambda _: Reply(tokens=())), "e0")
    with pytest.raises(InputError, match="model must be there"):
        await engine.revive()


async def test_a_run_in_one_process_survives_the_death_of_its_engine() -> None:
    seen: list[Progress] = []
    strategy = BestOfN(n=4, select=MajorityVote())
    queries = [Query(id=f"q{i}", prompt="?") for i in range(5)]
    work = Work(run="t", seed=1, strategy=strategy, directory=None)
    job = Job(work=work, backend=Mortal(deaths=1), queries=queries)
    records = await run_here(job, seen.append)
    assert {record.answer for record in records} == {"7"}
    (view,) = seen[-1].engines
    assert (view.restarts, view.samples, view.state) == (1, 20, "up")
    assert seen[-1].regenerated_tokens == 4  # of the query that met the death
