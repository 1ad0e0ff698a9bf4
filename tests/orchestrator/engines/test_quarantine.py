"""A query that kills engines is identified with few deaths, and no other query is blamed.

Engines die by script, and time passes when a test says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.engines.pool_engine import PooledEngine
from nbest.orchestrator.errors import EngineDead, NotBegun, Quarantined
from nbest.orchestrator.ids import query_of
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Request, Sample, Status


def request(query: str, index: int = 0) -> Request:
    params = SamplingParams()
    return Request(id=f"run/{query}/s{index}", prompt="", params=params, seed=1, affinity=query)


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(200):
        await asyncio.sleep(0)


class Fragile:
    """An engine that dies, with all that it has in flight, when it begins with a killer."""

    def __init__(self, killers: set[str], slots: int = 16) -> None:
        self.killers = killers
        self.deaths = 0
        self.is_dead = False
        self.pending: dict[str, asyncio.Future[Sample]] = {}
        self.together: list[frozenset[str]] = []  # queries in flight at each beginning
        self.times_alone = 0  # how often another pool's work was shut out
        self.may_revive = asyncio.Event()
        self.may_revive.set()
        self.pooled = PooledEngine(
            name="e", backend=self, slots=slots, revive=self.revive, alone=self.alone
        )

    async def generate(self, request: Request) -> Sample:
        if self.is_dead:
            raise EngineDead("gone")
        answer: asyncio.Future[Sample] = asyncio.get_running_loop().create_future()
        self.pending[request.id] = answer
        self.together.append(frozenset(i.split("/")[1] for i in self.pending))
        if query_of(request.id).removeprefix("run/") in self.killers:
            self.die(EngineDead(f"killed by {request.id}"))
        try:
            return await answer
        finally:
            self.pending.pop(request.id, None)

    async def abort(self, request_id: str) -> None:
        sample = Sample(id=request_id, text="", status=Status.CANCELLED)
        self.pending[request_id].set_result(sample)

    def die(self, death: EngineDead) -> None:
        self.deaths += 1
        self.is_dead = True
        for answer in self.pending.values():
            if not answer.done():
                answer.set_exception(death)

    def finish(self) -> None:
        for request_id, answer in self.pending.items():
            if not answer.done():
                answer.set_result(Sample(id=request_id, text="fine"))

    async def revive(self) -> None:
        await self.may_revive.wait()
        self.is_dead = False

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        assert not self.pending
        self.times_alone += 1
        yield


async def play(pool: Pool, engines: list[Fragile], requests: list[Request]) -> dict[str, object]:
    """Send all requests and let engines finish what they have until every request ends."""
    tasks = {r.id: asyncio.create_task(pool.generate(r)) for r in requests}
    for _ in range(40 * len(requests)):
        await settle()
        if all(task.done() for task in tasks.values()):
            break
        for engine in engines:
            engine.finish()
    ends = await asyncio.gather(*tasks.values(), return_exceptions=True)
    return dict(zip(tasks, ends, strict=True))


def outcomes(ends: dict[str, object]) -> dict[str, set[str]]:
    """By query, the results of its requests: texts, or names of exceptions."""
    outcome_of: dict[str, set[str]] = {}
    for request_id, end in ends.items():
        outcome = end.text if isinstance(end, Sample) else type(end).__name__
        outcome_of.setdefault(request_id.split("/")[1], set()).add(outcome)
    return outcome_of


@given(
    killers=st.sets(st.integers(0, 9), max_size=2),
    n=st.integers(1, 4),
    slots=st.integers(1, 16),
)
@settings(max_examples=40, deadline=None)
async def test_killers_and_no_others_are_quarantined(killers: set[int], n: int, slots: int) -> None:
    engine = Fragile({f"q{i}" for i in killers}, slots)
    requests = [request(f"q{i}", k) for i in range(10) for k in range(n)]
    outcome_of = outcomes(await play(Pool([engine.pooled]), [engine], requests))
    assert outcome_of == {f"q{i}": {"Quarantined"} if i in killers else {"fine"} for i in range(10)}
    assert engine.deaths <= 3 * len(killers)


async def test_one_killer_of_many_queries_costs_three_deaths() -> None:
    engine = Fragile({"q7"})
    requests = [request(f"q{i}") for i in range(100)]
    outcome_of = outcomes(await play(Pool([engine.pooled]), [engine], requests))
    assert [query for query, ends in outcome_of.items() if ends != {"fine"}] == ["q7"]
    assert engine.deaths == 3


async def test_a_query_is_not_quarantined_for_one_death_in_its_probe() -> None:
    engine = Fragile(set())
    pool = Pool([engine.pooled])
    tasks = [asyncio.create_task(pool.generate(request(f"q{i}"))) for i in range(3)]
    await settle()
    for death in ("the power failed", "and once more"):  # the second in the probe of q2
        engine.die(EngineDead(death))
        await settle()
    assert engine.together[-1] == {"q2"}  # probed again
    for _ in range(10):
        engine.finish()
        await settle()
    assert {(await task).text for task in tasks} == {"fine"}
    assert engine.deaths == 2


async def test_a_query_released_has_a_clean_record() -> None:
    """Two deaths in probes, with a release of the query between them, quarantine nothing."""
    engine = Fragile(set())
    pool = Pool([engine.pooled])
    for turn in range(3):
        task = asyncio.create_task(pool.generate(request("q", turn)))
        await settle()
        engine.die(EngineDead("the power failed"))
        await settle()
        engine.die(EngineDead("in the probe"))
        await settle()
        engine.finish()
        assert (await task).text == "fine"
        await settle()


async def test_a_suspect_is_probed_alone() -> None:
    engine = Fragile(set())
    pool = Pool([engine.pooled])
    tasks = [asyncio.create_task(pool.generate(request(f"q{i}"))) for i in range(5)]
    await settle()
    engine.die(EngineDead("the power failed"))
    engine.together.clear()
    for _ in range(10):
        await settle()
        engine.finish()
    assert [len(queries) for queries in engine.together] == [1] * 5
    assert engine.together[0] == {"q4"}  # the newest first
    assert engine.times_alone == 5
    assert {(await task).text for task in tasks} == {"fine"}


async def test_what_had_not_begun_is_not_suspected() -> None:
    engine = Fragile(set())
    pool = Pool([engine.pooled])
    tasks = [asyncio.create_task(pool.generate(request(f"q{i}"))) for i in range(5)]
    await settle()
    engine.die(NotBegun("gone before"))
    await settle()
    assert len(engine.pending) == 5  # together again
    engine.finish()
    assert {(await task).text for task in tasks} == {"fine"}
    assert engine.times_alone == 0


async def test_a_query_stays_quarantined_and_its_other_requests_fail_at_once() -> None:
    engine = Fragile({"bad"})
    pool = Pool([engine.pooled])
    ends = await play(pool, [engine], [request("bad", i) for i in range(40)])
    assert outcomes(ends) == {"bad": {"Quarantined"}}
    with pytest.raises(Quarantined, match="twice while it was alone there: killed by run/bad"):
        await pool.generate(request("bad", 99))
    assert engine.deaths == 3


async def test_other_engines_work_on_while_one_probes() -> None:
    engines = [Fragile({"bad"}, slots=2), Fragile({"bad"}, slots=2)]
    pool = Pool([engine.pooled for engine in engines])
    engines[0].may_revive.clear()
    bad = asyncio.create_task(pool.generate(request("bad")))
    await settle()
    others = [asyncio.create_task(pool.generate(request(f"q{i}"))) for i in range(6)]
    for _ in range(4):
        await settle()
        engines[1].finish()
    assert {(await task).text for task in others} == {"fine"}
    assert not bad.done()
    engines[0].may_revive.set()
    await settle()
    assert bad.done()
    assert isinstance(bad.exception(), Quarantined)


async def test_where_the_engine_is_lost_another_one_probes() -> None:
    lost, other = Fragile(set()), Fragile(set())
    lost.pooled.revive = None
    pool = Pool([lost.pooled, other.pooled])
    tasks = [asyncio.create_task(pool.generate(request(f"q{i}"))) for i in range(4)]
    await settle()
    lost.die(EngineDead("the node is gone"))
    for _ in range(6):
        await settle()
        other.finish()
    assert {(await task).text for task in tasks} == {"fine"}
    assert other.times_alone == 2


async def test_a_waiting_suspect_can_be_aborted_and_cancelled() -> None:
    engine = Fragile(set())
    pool = Pool([engine.pooled])
    tasks = [asyncio.create_task(pool.generate(request("q", i))) for i in range(3)]
    await settle()
    engine.may_revive.clear()
    engine.die(EngineDead("gone"))
    await settle()
    await pool.abort("run/q/s0")
    tasks[1].cancel()
    engine.may_revive.set()
    await settle()
    assert list(engine.pending) == ["run/q/s2"]
    engine.finish()
    assert (await tasks[0]).status is Status.CANCELLED
    assert (await tasks[2]).text == "fine"
    assert tasks[1].cancelled()


async def test_an_engine_lost_before_it_is_alone_blames_no_query() -> None:
    engine = Fragile(set())
    refusals = [EngineDead("gone again")]

    @asynccontextmanager
    async def alone() -> AsyncIterator[None]:
        if refusals:
            raise refusals.pop()
        yield

    engine.pooled.alone = alone
    pool = Pool([engine.pooled])
    task = asyncio.create_task(pool.generate(request("q")))
    await settle()
    engine.die(EngineDead("gone"))
    await settle()
    engine.finish()
    assert (await task).text == "fine"


def test_the_query_of_a_request_is_its_id_without_the_sample() -> None:
    assert query_of(request("q17", 3).id) == "run/q17"
    assert query_of("run/q17/s3/t2") == "run/q17"
    assert query_of("r") == "r"


class Patience:
    """Pauses that end when the test says so."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        await self.over.wait()
        self.over.clear()


async def test_suspects_of_an_engine_that_does_not_come_back_are_probed_by_another() -> None:
    """Its machine is gone, and Ray has no other room for it: the run ends all the same."""
    patience = Patience()
    gone, other = Fragile({"bad"}), Fragile({"bad"})
    gone.may_revive.clear()
    pool = Pool([gone.pooled, other.pooled], pause=patience)
    tasks = [asyncio.create_task(pool.generate(request("q", i))) for i in range(4)]
    await settle()
    gone.die(EngineDead("the node is gone"))
    await settle()
    other.finish()
    await settle()
    assert [task.done() for task in tasks] == [False, True, False, True]
    assert not other.pending  # it waits for the engine that is empty when it is back
    patience.over.set()
    await settle()
    assert len(other.pending) == 2
    other.finish()
    assert {(await task).text for task in tasks} == {"fine"}
    await pool.close()
