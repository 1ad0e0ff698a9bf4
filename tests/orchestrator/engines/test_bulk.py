"""Batches over a pool: the same as one by one, and no slot is ever lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import FakeBackend, Reply
from nbest.model_backend.fake.clocks import VirtualTime
from nbest.model_backend.fake.engine import FakeEngine
from nbest.orchestrator.engines.batches import Done, Result, generate_each, generate_one_by_one
from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.engines.pool_engine import PooledEngine
from nbest.orchestrator.errors import BackendError, EngineDead, Overloaded, RequestRejected
from nbest.orchestrator.protocols import Backend
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Request, Sample

Generate = Callable[[Backend, Sequence[Request], Done], Awaitable[None]]
FAILURES = st.sampled_from(
    [None] * 6 + [RequestRejected("no"), Overloaded("full"), EngineDead("gone")]
)
PLANS = st.lists(st.tuples(st.sampled_from([0.0, 1.0, 3.0]), FAILURES), min_size=1, max_size=12)


def requests(count: int) -> list[Request]:
    params = SamplingParams()
    return [
        Request(id=f"run/q{i % 3}/s{i}", prompt="?", params=params, seed=i, affinity=f"q{i % 3}")
        for i in range(count)
    ]


class Bench:
    """A pool whose engines fail a request the first time, as the plan says."""

    def __init__(
        self, plan: Sequence[tuple[float, BackendError | None]], engines: int, slots: int
    ) -> None:
        self.failed: set[str] = set()
        self._plan = plan
        settings = FakeBackend(script=self._reply)
        self.engines = [
            PooledEngine(
                name=f"e{i}", backend=FakeEngine(settings, f"e{i}"), slots=slots, revive=self._back
            )
            for i in range(engines)
        ]
        self.pool = Pool(self.engines)

    def _reply(self, request: Request) -> Reply:
        token_s, error = self._plan[int(request.id.rpartition("s")[2])]
        is_first = request.id not in self.failed
        self.failed.add(request.id)
        is_final = isinstance(error, RequestRejected)
        return Reply(tokens=("7",), token_s=token_s, error=error if is_first or is_final else None)

    async def _back(self) -> None:
        await asyncio.sleep(5.0)


@given(PLANS, st.integers(1, 3), st.integers(1, 5))
def test_a_batch_comes_to_the_same_as_its_requests_one_by_one(
    plan: list[tuple[float, BackendError | None]], engines: int, slots: int
) -> None:
    async def results(generate: Generate) -> dict[str, str]:
        bench = Bench(plan, engines, slots)
        heard: list[tuple[str, Result]] = []
        await generate(
            bench.pool, requests(len(plan)), lambda r, result: heard.append((r.id, result))
        )
        assert len(dict(heard)) == len(heard) == len(plan)
        assert [engine.in_flight for engine in bench.engines] == [set()] * engines
        await bench.pool.close()
        return {name: r.text if isinstance(r, Sample) else repr(r) for name, r in heard}

    def virtually(generate: Generate) -> dict[str, str]:
        with asyncio.Runner(loop_factory=VirtualTime) as runner:
            return runner.run(results(generate))

    together, one_by_one = virtually(generate_each), virtually(generate_one_by_one)
    # Whom an engine takes along when it dies depends on who is there at that moment.
    if not any(isinstance(error, EngineDead) for _, error in plan):
        assert together == one_by_one


@pytest.mark.parametrize("rounds", range(6))
def test_cancelling_a_batch_at_any_moment_gives_its_slots_back(rounds: int) -> None:
    async def main() -> None:
        bench = Bench([(1.0, None)] * 9, engines=2, slots=2)
        batch = asyncio.create_task(bench.pool.generate_many(requests(9), lambda *_: None))
        for _ in range(rounds):
            await asyncio.sleep(0)
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
        assert [engine.in_flight for engine in bench.engines] == [set(), set()]
        await bench.pool.room()
        heard: list[str] = []
        await bench.pool.generate_many(requests(9), lambda r, _: heard.append(r.id))
        assert len(heard) == 9

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        runner.run(main())


def test_those_that_find_a_slot_go_out_in_one_call_an_engine() -> None:
    calls: list[int] = []

    class Counting(FakeEngine):
        async def generate_many(self, requests: Sequence[Request], done: Done) -> None:
            calls.append(len(requests))
            await super().generate_many(requests, done)

    async def main() -> None:
        settings = FakeBackend(script=lambda _: Reply(tokens=("7",), token_s=1.0))
        engines = [
            PooledEngine(name=f"e{i}", backend=Counting(settings, f"e{i}"), slots=4)
            for i in range(2)
        ]
        await Pool(engines).generate_many(requests(10), lambda *_: None)

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        runner.run(main())
    assert calls == [4, 4]
