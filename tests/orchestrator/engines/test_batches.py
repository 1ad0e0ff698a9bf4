"""Many in one call: the same as one by one, whatever the backend or the sampler offers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import FakeBackend, ManualClock, Reply, SeededAnswers
from nbest.model_backend.fake.clocks import VirtualTime
from nbest.model_backend.fake.engine import FakeEngine
from nbest.orchestrator.engines.batches import Done, Result, generate_each, generate_one_by_one
from nbest.orchestrator.errors import BackendError, EngineDead, Quarantined, RequestRejected
from nbest.orchestrator.protocols import Backend, Sampler
from nbest.orchestrator.query.fanout import draw, draw_one_by_one
from nbest.orchestrator.query.sampler import StoredSampler
from nbest.orchestrator.query.tally import Tally
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.store.run_store import MemoryStore
from nbest.orchestrator.types import Query, Request, Sample

PARAMS = SamplingParams(max_tokens=3, logprobs=0)
QUERY = Query(id="q", prompt="?")
PACES = st.sampled_from([0.0, 1.0, 2.5])
ERRORS = st.sampled_from([None, None, None, RequestRejected("too long"), BackendError("odd")])
REPLIES = st.lists(st.tuples(PACES, ERRORS), max_size=8)
Generate = Callable[[Backend, Sequence[Request], Done], Awaitable[None]]
Draw = Callable[[Sampler, Sequence[int], SamplingParams], Awaitable[tuple[Sample, ...]]]


def requests(count: int) -> list[Request]:
    return [Request(id=f"r{i}", prompt="?", params=PARAMS, seed=i) for i in range(count)]


def engine_of(replies: Sequence[tuple[float, BackendError | None]]) -> FakeEngine:
    """An engine that gives request i reply i."""

    def script(request: Request) -> Reply:
        token_s, error = replies[int(request.id.rpartition("/")[2].lstrip("rs"))]
        return Reply(tokens=tuple("abcd"[: 1 + int(token_s)]), token_s=token_s, error=error)

    return FakeEngine(FakeBackend(script=script), "e")


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def shown(result: Result) -> object:
    return result if isinstance(result, Sample) else (type(result), str(result))


@given(REPLIES, st.sets(st.integers(0, 7)))
def test_a_batch_comes_to_the_same_as_its_requests_one_by_one(
    replies: list[tuple[float, BackendError | None]], aborted: set[int]
) -> None:
    async def results(generate: Generate) -> tuple[Counter[str], dict[str, object], int]:
        engine = engine_of(replies)
        heard: list[tuple[str, object]] = []
        for i in aborted:
            await engine.abort(f"r{i}")
        await generate(
            engine,
            requests(len(replies)),
            lambda request, result: heard.append((request.id, shown(result))),
        )
        return Counter(name for name, _ in heard), dict(heard), engine.served

    def virtually(generate: Generate) -> tuple[Counter[str], dict[str, object], int]:
        with asyncio.Runner(loop_factory=VirtualTime) as runner:
            return runner.run(results(generate))

    together = virtually(generate_each)
    assert together == virtually(generate_one_by_one)
    assert together[0] == Counter(f"r{i}" for i in range(len(replies)))


class Plain:
    """A backend that takes one request at a time, as a plugin may do."""

    async def generate(self, request: Request) -> Sample:
        await asyncio.sleep(0)
        if request.id == "r1":
            raise RequestRejected("no")
        return Sample(id=request.id, text="plain")

    async def abort(self, request_id: str) -> None: ...


async def test_a_backend_that_takes_one_at_a_time_is_enough() -> None:
    heard: dict[str, object] = {}
    await generate_each(Plain(), requests(3), lambda r, result: heard.update({r.id: shown(result)}))
    assert heard == {
        "r0": Sample(id="r0", text="plain"),
        "r1": (RequestRejected, "no"),
        "r2": Sample(id="r2", text="plain"),
    }


@pytest.mark.parametrize("generate", [generate_each, generate_one_by_one])
async def test_a_failure_of_the_listener_ends_the_call_and_what_was_running(
    generate: Generate,
) -> None:
    engine = engine_of([(3600.0, None), (0.01, None), (3600.0, None)])

    def done(request: Request, result: Result) -> None:
        raise EngineDead(f"after {request.id}")

    with pytest.raises(EngineDead, match="after r1"):
        await generate(engine, requests(3), done)
    assert engine.in_flight == ()


@pytest.mark.parametrize("generate", [generate_each, generate_one_by_one])
async def test_cancelling_the_call_leaves_nothing_running(generate: Generate) -> None:
    engine = engine_of([(3600.0, None)] * 3)
    heard: list[str] = []
    call = asyncio.ensure_future(
        generate(engine, requests(3), lambda request, _: heard.append(request.id))
    )
    await settle()
    assert len(engine.in_flight) == 3
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (engine.in_flight, heard) == ((), [])


async def test_an_abort_reaches_a_request_of_a_batch_before_and_after_it_has_begun() -> None:
    clock = ManualClock()
    script = FakeBackend(script=lambda _: Reply(tokens=("a",) * 3, token_s=1.0), clock=clock)
    engine = FakeEngine(script)
    heard: dict[str, Result] = {}
    call = asyncio.ensure_future(
        engine.generate_many(requests(3), lambda r, result: heard.update({r.id: result}))
    )
    await asyncio.sleep(0)
    await engine.abort("r0")  # its task has not run yet
    await settle()
    clock.advance(1.0)
    await engine.abort("r1")
    await settle()
    clock.advance(2.0)
    await call
    tokens = {name: s.generated_tokens for name, s in heard.items() if isinstance(s, Sample)}
    assert tokens == {"r0": 0, "r1": 1, "r2": 3}


def sampler_of(backend: Backend, store: MemoryStore) -> tuple[StoredSampler, Tally]:
    tally = Tally()
    sampler = StoredSampler(
        run="run",
        seed=3,
        query=QUERY,
        backend=backend,
        store=store,
        tally=tally,
        begun=lambda: None,
    )
    return sampler, tally


@given(REPLIES, st.sets(st.integers(0, 7)))
def test_drawing_together_is_drawing_one_by_one(
    replies: list[tuple[float, BackendError | None]], stored: set[int]
) -> None:
    async def drawn(draw_them: Draw) -> object:
        store = MemoryStore()
        for index in stored:
            store.add("q", index, Sample(id=f"old{index}", text="7", generated_tokens=index))
        sampler, tally = sampler_of(engine_of(replies), store)
        samples = await draw_them(sampler, range(len(replies)), PARAMS)
        stored_samples = [store.get("q", i) for i in range(len(replies))]
        return samples, stored_samples, sampler.usage, sorted(sampler.errors), tally

    def virtually(draw_them: Draw) -> object:
        with asyncio.Runner(loop_factory=VirtualTime) as runner:
            return runner.run(drawn(draw_them))

    assert virtually(draw) == virtually(draw_one_by_one)


@pytest.mark.parametrize("draw_them", [draw, draw_one_by_one])
@pytest.mark.parametrize("error", [EngineDead("gone"), Quarantined("twice")], ids=repr)
async def test_what_ends_a_query_ends_the_draw(draw_them: Draw, error: BackendError) -> None:
    engine = engine_of([(3600.0, None), (0.01, error)])
    sampler, _ = sampler_of(engine, MemoryStore())
    with pytest.raises(type(error), match=str(error)):
        await draw_them(sampler, range(2), PARAMS)
    assert engine.in_flight == ()


async def test_samples_are_stored_as_they_end_and_not_when_all_have() -> None:
    """A crash in a query of ten thousand samples must not lose those that were there."""
    store = MemoryStore()
    sampler, _ = sampler_of(engine_of([(3600.0, None), (0.0, None)]), store)
    drawing = asyncio.create_task(sampler.draw_many(range(2), PARAMS))
    await settle()
    assert (store.get("q", 1) is not None, drawing.done()) == (True, False)
    drawing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drawing


async def test_the_order_of_the_indices_is_kept() -> None:
    backend = FakeBackend(script=SeededAnswers(answers=("a", "b"), weights=(1, 1)))
    sampler, _ = sampler_of(FakeEngine(backend), MemoryStore())
    assert [s.id for s in await draw(sampler, (4, 0, 9), PARAMS)] == [
        "run/q/s4",
        "run/q/s0",
        "run/q/s9",
    ]
