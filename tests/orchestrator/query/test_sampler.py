"""The sampler: the store first, the engine for what is missing, and every token counted once."""

from __future__ import annotations

import asyncio
from dataclasses import fields, replace

import pytest

from nbest import FakeBackend, ManualClock, Reply, SeededAnswers
from nbest.model_backend.fake.engine import FakeEngine
from nbest.orchestrator.errors import BackendError, EngineDead, Overloaded, RequestRejected
from nbest.orchestrator.ids import sample_seed
from nbest.orchestrator.protocols import Backend, SampleStore
from nbest.orchestrator.query.model_calls import call_key
from nbest.orchestrator.query.sampler import StoredSampler
from nbest.orchestrator.query.tally import Tally, usage_of
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.store.run_store import MemoryStore
from nbest.orchestrator.types import Message, Query, Request, Sample, Status, Usage, model_key

CHAT = (Message(role="user", content="What is 3 + 4?"),)
QUERY = Query(id="q17", prompt=CHAT)
MODEL = {"model": "a verifier"}
PARAMS = SamplingParams(max_tokens=8, temperature=0.5)
STORED = Sample(id="old/q17/s0", text="7", prompt_tokens=11, cached_tokens=5, generated_tokens=3)


class Bench:
    """A sampler over an engine that notes what it is asked."""

    def __init__(
        self, *, backend: Backend | None = None, store: SampleStore | None = None, seed: int = 5
    ) -> None:
        self.requests: list[Request] = []
        self.events: list[str] = []
        self.store = store or MemoryStore()
        self.tally = Tally()
        self.sampler = StoredSampler(
            run="demo",
            seed=seed,
            query=QUERY,
            backend=backend or self,
            store=self.store,
            tally=self.tally,
            begun=lambda: self.events.append("begun"),
            models={model_key(MODEL): self},
        )

    async def generate(self, request: Request) -> Sample:
        self.requests.append(request)
        self.events.append("generate")
        return Sample(
            id=request.id, text="7", prompt_tokens=11, cached_tokens=5, generated_tokens=3
        )

    async def abort(self, request_id: str) -> None:
        self.events.append(f"abort {request_id}")


async def test_the_request_says_what_is_to_be_drawn() -> None:
    bench = Bench()
    sample = await bench.sampler(3, PARAMS)
    assert bench.requests == [
        Request(
            id="demo/q17/s3",
            prompt=CHAT,
            params=PARAMS,
            seed=sample_seed(5, "q17", 3),
            affinity="q17",
        )
    ]
    assert sample.id == "demo/q17/s3"


async def test_no_field_of_a_request_is_left_to_its_default() -> None:
    """A new field of Request needs a value here."""
    bench = Bench()
    await bench.sampler.rate(MODEL, ["it is 7"])
    await bench.sampler.step((0, 1), (5, 6), PARAMS)
    rated, stepped = bench.requests
    sent = replace(rated, prefix=stepped.prefix)
    blank = Request(id="", prompt="", params=SamplingParams(), seed=None)
    for field in fields(Request):
        if field.name == "params":  # a reward has none
            assert sent.params == blank.params
            continue
        assert getattr(sent, field.name) != getattr(blank, field.name), field.name


async def test_seeds_differ_by_index_and_by_run_and_repeat() -> None:
    async def seeds(run_seed: int) -> list[int | None]:
        bench = Bench(seed=run_seed)
        for index in range(4):
            await bench.sampler(index, PARAMS)
        return [request.seed for request in bench.requests]

    assert await seeds(1) == await seeds(1)
    assert len({*await seeds(1), *await seeds(2)}) == 8


async def test_what_is_stored_comes_back_without_an_engine() -> None:
    bench = Bench()
    bench.store.add("q17", 0, STORED)
    assert await bench.sampler(0, PARAMS) is STORED
    assert bench.requests == []
    assert (bench.tally.samples_reused, bench.tally.samples_drawn) == (1, 0)
    assert bench.tally.generated_tokens == 0  # nothing was generated now
    assert bench.sampler.usage == usage_of([STORED])  # but the answer has cost that


async def test_a_stored_sample_of_another_query_or_index_is_not_taken() -> None:
    bench = Bench()
    bench.store.add("q17", 1, STORED)
    bench.store.add("q1", 0, STORED)
    await bench.sampler(0, PARAMS)
    assert [request.id for request in bench.requests] == ["demo/q17/s0"]


async def test_a_sample_is_stored_before_it_is_returned() -> None:
    class Noting(MemoryStore):
        def add(self, query_id: str, index: int, sample: Sample) -> None:
            bench.events.append(f"store {query_id} {index} {sample.id}")
            super().add(query_id, index, sample)

    bench = Bench(store=Noting())
    sample = await bench.sampler(2, PARAMS)
    bench.events.append("returned")
    assert bench.events == ["begun", "generate", "store q17 2 demo/q17/s2", "returned"]
    assert bench.store.get("q17", 2) is sample


async def test_the_loop_hears_that_a_query_has_begun_before_anything_waits() -> None:
    """The next query may be opened once this one has sent its requests, not once it has ended."""
    clock = ManualClock()
    backend = FakeBackend(script=lambda _: Reply(tokens=("7",), token_s=1.0), clock=clock)
    bench = Bench(backend=FakeEngine(backend))
    drawing = asyncio.create_task(bench.sampler(0, PARAMS))
    await asyncio.sleep(0)
    assert (bench.events, drawing.done()) == (["begun"], False)
    drawing.cancel()
    await asyncio.gather(drawing, return_exceptions=True)


def failing(error: BackendError) -> Bench:
    def script(request: Request) -> Reply:
        return Reply(tokens=("7",), error=error if request.id.endswith("/s1") else None)

    return Bench(backend=FakeEngine(FakeBackend(script=script)))


@pytest.mark.parametrize(
    "error", [RequestRejected("too long"), Overloaded("full"), BackendError("odd")], ids=repr
)
async def test_a_failure_is_a_sample_that_says_why_and_is_not_stored(error: BackendError) -> None:
    bench = failing(error)
    samples = [await bench.sampler(i, PARAMS) for i in range(3)]
    why = str(error)
    assert samples[1] == Sample(id="demo/q17/s1", text="", status=Status.ERROR, error=why)
    assert [s.status for s in samples] == [Status.OK, Status.ERROR, Status.OK]
    assert [bench.store.get("q17", i) is None for i in range(3)] == [False, True, False]
    assert bench.sampler.errors == [why]
    assert (bench.sampler.usage.samples, bench.tally.samples_drawn) == (3, 3)


async def test_a_failure_is_tried_again_by_the_next_command() -> None:
    bench = failing(RequestRejected("no"))
    await bench.sampler(1, PARAMS)
    again = Bench(store=bench.store)
    assert (await again.sampler(1, PARAMS)).status is Status.OK
    assert (again.tally.samples_reused, again.tally.samples_drawn) == (0, 1)


async def test_the_death_of_an_engine_is_raised_and_nobodys_sample() -> None:
    bench = failing(EngineDead("gone"))
    with pytest.raises(EngineDead, match="gone"):
        await bench.sampler(1, PARAMS)
    assert bench.store.get("q17", 1) is None
    assert (bench.sampler.errors, bench.sampler.usage) == ([], Usage())


async def test_an_abort_names_the_request_and_what_it_had_cost_is_counted() -> None:
    """A sample that was aborted is kept and counted with the tokens that it had."""
    clock = ManualClock()
    script = FakeBackend(script=lambda _: Reply(tokens=("a",) * 8, token_s=1.0), clock=clock)
    engine = FakeEngine(script)
    bench = Bench(backend=engine)
    drawing = [asyncio.create_task(bench.sampler(i, PARAMS)) for i in range(2)]
    await settle()
    assert engine.in_flight == ("demo/q17/s0", "demo/q17/s1")
    clock.advance(3.0)
    await bench.sampler.abort(1)
    await settle()
    clock.advance(5.0)
    whole, cut = await asyncio.gather(*drawing)
    assert (whole.status, whole.generated_tokens) == (Status.OK, 8)
    assert (cut.status, cut.generated_tokens) == (Status.CANCELLED, 3)
    usage = bench.sampler.usage
    assert (usage.samples, usage.generated_tokens, usage.cancelled_tokens) == (2, 11, 3)
    assert bench.tally.generated_tokens == 11
    assert (bench.tally.answers_drawn, bench.tally.answers_aborted) == (2, 1)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_aborted_sample_may_be_drawn_again() -> None:
    engine = FakeEngine(FakeBackend(script=SeededAnswers(answers=("7",), weights=(1,))))
    bench = Bench(backend=engine)
    await bench.sampler.abort(0)
    assert (await bench.sampler(0, PARAMS)).status is Status.CANCELLED
    assert bench.store.get("q17", 0) is None
    assert (await bench.sampler(0, PARAMS)).status is Status.OK


@pytest.mark.parametrize("status", Status)
def test_every_token_is_counted_whatever_became_of_the_sample(status: Status) -> None:
    cancelled = 3 if status is Status.CANCELLED else 0
    assert usage_of([replace(STORED, status=status)]) == Usage(
        samples=1,
        prompt_tokens=11,
        cached_tokens=5,
        generated_tokens=3,
        cancelled_tokens=cancelled,
    )


# Questions about the samples


async def test_what_a_judge_is_asked_is_stored_and_counted_and_seeded_by_what_it_is() -> None:
    bench = Bench()
    first = await bench.sampler.ask("judge", "Is it 7?", PARAMS)
    again = await bench.sampler.ask("judge", "Is it 7?", PARAMS)
    other = await bench.sampler.ask("judge", "Is it 8?", PARAMS)
    assert first == again != other
    assert len(bench.requests) == 2
    assert {r.prompt for r in bench.requests} == {"Is it 7?", "Is it 8?"}
    assert len({r.seed for r in bench.requests}) == len({r.id for r in bench.requests}) == 2
    assert all(r.id.startswith("demo/q17/judge-") for r in bench.requests)
    assert bench.sampler.usage.generated_tokens == 2 * 3  # the same call again costs nothing
    assert (bench.tally.samples_drawn, bench.tally.samples_reused) == (2, 0)


async def test_other_parameters_are_another_question() -> None:
    bench = Bench()
    await bench.sampler.ask("judge", "Is it 7?", PARAMS)
    await bench.sampler.ask("judge", "Is it 7?", replace(PARAMS, max_tokens=1))
    assert len(bench.requests) == 2


async def test_a_judge_that_the_engine_refuses_is_a_sample_that_says_so() -> None:
    def script(request: Request) -> Reply:
        return Reply(tokens=(), error=RequestRejected("too long"))

    bench = Bench(backend=FakeEngine(FakeBackend(script=script)))
    reply = await bench.sampler.ask("judge", "Is it 7?", PARAMS)
    assert reply.status is Status.ERROR
    assert bench.sampler.errors == [reply.error]


async def test_a_judge_that_failed_is_known_to_the_store_and_asked_again() -> None:
    def script(request: Request) -> Reply:
        return Reply(tokens=(), error=RequestRejected("too long"))

    class Noting(MemoryStore):
        def add(self, query_id: str, index: int, sample: Sample) -> None:
            added.append((query_id, index, sample.status))
            super().add(query_id, index, sample)

    added: list[tuple[str, int, Status]] = []
    bench = Bench(backend=FakeEngine(FakeBackend(script=script)), store=Noting())
    await bench.sampler.ask("judge", "Is it 7?", PARAMS)
    key = call_key("q17", "judge", "Is it 7?", PARAMS)
    assert added == [(key, 0, Status.ERROR)]
    again = Bench(store=bench.store)
    assert (await again.sampler.ask("judge", "Is it 7?", PARAMS)).status is Status.OK
