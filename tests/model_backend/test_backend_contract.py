"""The contract of `Backend` (orchestrator/types.py), over every backend and every wrapper of one.

The same requests go to the fake engine, to a pool, to an engine behind Ray, and to real vLLM. Tests
wait for events: a long sample is under way when a short one that was sent after it has come back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import pytest_asyncio

from nbest.model_backend.fake.engine import FakeBackend, FakeEngine
from nbest.model_backend.fake.script import Reply
from nbest.model_backend.openai.engine import EndpointEngine
from nbest.model_backend.openai.settings import Endpoint
from nbest.model_backend.vllm.engine import VLLMEngine
from nbest.model_backend.vllm.server import vllm_server
from nbest.model_backend.vllm.settings import VLLM
from nbest.orchestrator.engines.batches import Result, generate_each
from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.engines.pool_engine import PooledEngine
from nbest.orchestrator.errors import RequestRejected
from nbest.orchestrator.protocols import Backend
from nbest.orchestrator.sampling_params import ConfidenceFloor, Constraint, SamplingParams, Thinking
from nbest.orchestrator.types import Message, Request, Sample, Status

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_MODEL_LEN = 512
TOO_LONG = "word " * (2 * MAX_MODEL_LEN)
BFLOAT16 = 0.125
"""How far a log-probability moves with the batch: a logit near 20 is kept in steps of an eighth.

Processors without bfloat16 compute in float32 and agree far more closely.
"""


def story(request: Request) -> Reply:
    """Answers as a fake model that keeps talking; the words depend on the prompt and the seed."""
    if request.prompt == TOO_LONG:
        return Reply(tokens=(), error=RequestRejected("the prompt is too long"))
    if request.params.constraint is not None and request.params.constraint.choice:
        return Reply(tokens=request.params.constraint.choice[:1], token_s=0.001)
    key = "" if request.params.temperature == 0 else str(request.seed)
    before = len(request.prefix or ())
    words = tuple(f" {request.prompt!r}{key}w{i}" for i in range(before, MAX_MODEL_LEN))
    return Reply(tokens=words, first_token_s=0.001, token_s=0.002, prompt_tokens=1 + before)


FAKE = FakeBackend(script=story)


@asynccontextmanager
async def over_pool() -> AsyncIterator[Pool]:
    async with FAKE.open() as one, FAKE.open() as two:
        engines = [
            PooledEngine(name=f"e{i}", backend=engine, slots=40)
            for i, engine in enumerate((one, two))
        ]
        yield Pool(engines)


@asynccontextmanager
async def over_ray() -> AsyncIterator[Backend]:
    ray = pytest.importorskip("ray")
    from nbest.orchestrator.cluster.engine.client import RemoteEngine
    from nbest.orchestrator.cluster.engine.server import EngineServer

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        actor = ray.remote(EngineServer).remote(FAKE)
        remote = RemoteEngine(actor, "test")
        await remote.revive()
        yield remote
    finally:
        ray.shutdown()


@asynccontextmanager
async def over_http(*, is_streamed: bool = True) -> AsyncIterator[Backend]:
    pytest.importorskip("aiohttp")
    from tests.model_backend.openai.fake_server import FakeServer, serving

    async with serving(FakeServer(story)) as server:
        endpoint = Endpoint("fake", base_url=server.url, stream=is_streamed)
        async with endpoint.open() as live:
            yield live


@asynccontextmanager
async def over_vllm_server() -> AsyncIterator[Backend]:
    settings = VLLM("smollm2-135m", max_model_len=MAX_MODEL_LEN, max_num_seqs=64)
    async with (
        vllm_server(settings) as base_url,
        Endpoint("smollm2-135m", base_url=base_url).open() as live,
    ):
        yield live


# What begins and ends a thought, for a model that was not trained to think.
THINKS = {"reasoning_config": {"reasoning_start_str": "<think>", "reasoning_end_str": "</think>"}}
BACKENDS = {
    "fake": FAKE.open,
    "pool": over_pool,
    "http": over_http,
    "server": over_vllm_server,
    "ray": over_ray,
    "vllm": VLLM("smollm2-135m", max_model_len=MAX_MODEL_LEN, max_num_seqs=64, engine=THINKS).open,
}


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[
        "fake",
        "pool",
        "http",
        pytest.param("server", marks=[pytest.mark.engine]),
        pytest.param("ray", marks=pytest.mark.ray),
        pytest.param("vllm", marks=[pytest.mark.engine]),
    ],
)
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    async with BACKENDS[request.param]() as live:
        yield live


def ask(name: str, prompt: str = "Once upon a time", *, seed: int = 1, **params: object) -> Request:
    settings = {"temperature": 0.0, "max_tokens": 8, "logprobs": 0} | params
    return Request(
        id=name,
        prompt=prompt,
        params=SamplingParams(**settings),  # type: ignore[arg-type]
        seed=seed,
        affinity=prompt,
    )


async def under_way(backend: Backend, name: str, max_tokens: int = 400) -> asyncio.Task[Sample]:
    """Start a long sample, and return when it has been decoding for a while."""
    long = asyncio.create_task(backend.generate(ask(name, max_tokens=max_tokens)))
    await asyncio.sleep(0)
    await backend.generate(ask(f"{name}/after", max_tokens=8))
    assert not long.done()
    return long


async def nothing_runs(backend: Backend) -> None:
    """Wait until the engine has nothing left to do; the test's timeout ends it if it never does."""
    while True:
        if isinstance(backend, (FakeEngine, EndpointEngine)):
            busy = len(backend.in_flight)
        elif isinstance(backend, VLLMEngine):
            busy = backend.num_unfinished
        else:  # a wrapper: the same engine class underneath is tested bare
            return
        if not busy:
            return
        await asyncio.sleep(0.01)


async def test_same_id_comes_back_with_its_tokens(backend: Backend) -> None:
    sample = await backend.generate(ask("id/q1/s0"))
    assert sample.id == "id/q1/s0"
    assert sample.generated_tokens == len(sample.token_ids) <= 8
    assert sample.logprobs is not None
    assert len(sample.logprobs) == len(sample.token_ids)
    assert all(logprob <= 0 for logprob in sample.logprobs)
    assert sample.prompt_tokens > 0
    assert 0 < sample.first_token_s <= sample.total_s


async def test_a_thought_is_ended_at_its_budget(backend: Backend) -> None:
    if not isinstance(backend, VLLMEngine):
        pytest.skip("only vLLM counts the tokens of a thought while it is drawn")
    prompt = "Q: 3 + 4 = ?\n<think>"
    budget = Thinking(budget=5)
    cut = await backend.generate(ask("cut", prompt, max_tokens=40, thinking=budget))
    free = await backend.generate(ask("free", prompt, max_tokens=40))
    assert 0 < cut.reasoning_tokens <= 5
    assert free.reasoning_tokens > 5
    assert free.reasoning.startswith(cut.reasoning)


async def test_a_response_is_rated_by_what_it_would_have_been_drawn_with(backend: Backend) -> None:
    """Greedily drawn, a text is read again: its log-probabilities are those that it had."""
    if not isinstance(backend, VLLMEngine):
        pytest.skip("only an engine that reads a prompt's log-probabilities rates a response")
    drawn = await backend.generate(ask("drawn", max_tokens=12))
    rated = await backend.generate(replace(ask("rated"), response=drawn.text))
    assert (rated.status, rated.generated_tokens) == (Status.OK, 0)
    read, had = np.array(json.loads(rated.text)), np.array(drawn.logprobs)
    assert read == pytest.approx(had, abs=BFLOAT16)
    assert np.abs(read[1:] - had[:-1]).max() > BFLOAT16  # one token off would show
    assert rated.prompt_tokens == drawn.prompt_tokens + drawn.generated_tokens
    empty = await backend.generate(replace(ask("empty"), response=""))
    assert json.loads(empty.text) == []
    with pytest.raises(RequestRejected, match="512 tokens"):
        await backend.generate(replace(ask("too long"), response=TOO_LONG))


async def test_no_logprobs_unless_asked_for(backend: Backend) -> None:
    assert (await backend.generate(ask("plain", logprobs=None))).logprobs is None


async def test_top_k_logprobs_still_give_one_a_token(backend: Backend) -> None:
    one = await backend.generate(ask("one", logprobs=0))
    five = await backend.generate(ask("five", logprobs=5))
    assert five.logprobs == pytest.approx(one.logprobs, abs=BFLOAT16)
    assert one.top_logprobs is None


async def test_the_k_likeliest_tokens_come_likeliest_first(backend: Backend) -> None:
    sample = await backend.generate(ask("top", logprobs=5, token_texts=True))
    plain = await backend.generate(ask("plain top", logprobs=5))
    assert sample.top_logprobs is not None
    assert plain.top_logprobs is not None
    top = sample.top_logprobs.array()
    assert top.shape == (len(sample.token_ids), 5)
    assert (np.diff(top, axis=1) <= 0).all()
    assert top[:, 0] == pytest.approx(sample.logprobs, abs=1e-5)  # greedy: the likeliest was taken
    assert (np.exp(top).sum(axis=1) <= 1.001).all()
    assert len(sample.top_logprobs.texts) == top.size
    assert plain.top_logprobs.texts == ()


async def test_a_sample_ends_where_it_falls_below_its_floor(backend: Backend) -> None:
    whole = await backend.generate(ask("above", max_tokens=24, logprobs=5))
    assert whole.top_logprobs is not None
    confidence = -whole.top_logprobs.array().mean(axis=1, dtype=np.float64)
    floor = ConfidenceFloor(level=float(confidence.min()) - 0.1, window=1, k=5)
    same = await backend.generate(ask("same", max_tokens=24, logprobs=5, floor=floor))
    assert (same.status, same.generated_tokens) == (whole.status, whole.generated_tokens)
    floor = ConfidenceFloor(level=1e6, window=3, k=5)
    fallen = await backend.generate(ask("fallen", max_tokens=200, logprobs=5, floor=floor))
    assert fallen.status is Status.TRUNCATED
    # An engine may have begun another few before it hears of it.
    assert 3 <= fallen.generated_tokens < 100
    assert fallen.logprobs is not None
    assert len(fallen.logprobs) == fallen.generated_tokens


async def test_truncated_at_max_tokens(backend: Backend) -> None:
    sample = await backend.generate(ask("cut", max_tokens=5))
    assert sample.status is Status.TRUNCATED
    assert sample.generated_tokens == 5


async def test_stop_string_ends_it_and_is_left_out(backend: Backend) -> None:
    whole = await backend.generate(ask("whole", max_tokens=12))
    stop = whole.text[4:8]
    stopped = await backend.generate(ask("stopped", max_tokens=12, stop=(stop,)))
    assert stopped.status is Status.OK
    assert stopped.text == whole.text[: whole.text.index(stop)]
    assert (whole.stop, stopped.stop) in {("", stop), ("", "")}  # a server may not say


async def steps_of(backend: Backend, count: int, length: int) -> list[Sample]:
    """A greedy answer in steps of so many tokens, each after the token ids of those before."""
    steps: list[Sample] = []
    prefix: tuple[int, ...] = ()
    for place in range(count):
        request = replace(ask(f"step{place}", max_tokens=length), prefix=prefix)
        steps.append(await backend.generate(request))
        prefix += steps[-1].token_ids
    return steps


async def test_an_answer_goes_on_after_its_own_tokens(backend: Backend) -> None:
    """Joined, greedy steps are the whole answer, but for near ties; or they are refused."""
    if isinstance(backend, EndpointEngine):
        with pytest.raises(RequestRejected, match="continues no answer"):
            await steps_of(backend, 1, 6)
        return
    whole = await backend.generate(ask("whole in one", max_tokens=24))
    steps = await steps_of(backend, 4, 6)
    assert [step.generated_tokens for step in steps] == [6] * 4
    read = [step.prompt_tokens for step in steps]
    assert [after - before for before, after in pairwise(read)] == [6] * 3
    joined = "".join(step.text for step in steps)
    half = len(whole.text) // 2
    assert joined[:half] == whole.text[:half]


async def test_a_text_may_be_put_into_an_answer(backend: Backend) -> None:
    if isinstance(backend, EndpointEngine):
        return
    (first,) = await steps_of(backend, 1, 6)
    forced = replace(ask("forced", max_tokens=6), prefix=(*first.token_ids, " Wait,"))
    after = await backend.generate(forced)
    assert after.generated_tokens == 6
    assert 0 < after.prompt_tokens - first.prompt_tokens - 6 <= 3


async def test_greedy_repeats(backend: Backend) -> None:
    first, second = [await backend.generate(ask(f"greedy{i}", seed=i)) for i in range(2)]
    assert first.text == second.text


async def test_a_warm_cache_changes_nothing(backend: Backend) -> None:
    """The same long prompt, first with an empty cache, then with most of it in the cache."""
    prompt = " ".join(f"{i} plus {i} is {i + i}." for i in range(40))
    requests = [replace(ask(f"cache{i}"), prompt=f"{prompt} 40 plus 40 is") for i in range(2)]
    cold, warm = [await backend.generate(request) for request in requests]
    assert warm.text == cold.text
    if warm.cached_tokens:  # a fake or a server need not say
        assert warm.cached_tokens > cold.cached_tokens
        assert warm.cached_tokens > warm.prompt_tokens / 2


async def test_seeds_repeat_and_differ(backend: Backend) -> None:
    def draw(name: str, seed: int) -> Request:
        return ask(name, seed=seed, temperature=1.0, max_tokens=12)

    first = await backend.generate(draw("a", 1))
    again = await backend.generate(draw("b", 1))
    others = {(await backend.generate(draw(f"c{i}", i))).text for i in range(2, 6)}
    assert first.text == again.text
    assert len(others - {first.text}) >= 3


async def test_many_at_once_do_not_mix(backend: Backend) -> None:
    requests = [
        ask(f"mix/s{i}", max_tokens=16, constraint=Constraint(choice=(f"answer {i}",)))
        for i in range(64)
    ]
    samples = await asyncio.gather(*(backend.generate(request) for request in requests))
    assert [s.id for s in samples] == [r.id for r in requests]
    assert [s.text for s in samples] == [f"answer {i}" for i in range(64)]
    assert {s.status for s in samples} == {Status.OK}


async def test_chat_messages_are_a_prompt(backend: Backend) -> None:
    chat = (Message(role="system", content="Be brief."), Message(role="user", content="Hello!"))
    request = Request(id="chat", prompt=chat, params=SamplingParams(max_tokens=4), seed=1)
    assert (await backend.generate(request)).generated_tokens > 0


async def test_abort_before_the_request_wins(backend: Backend) -> None:
    await backend.abort("early")
    sample = await backend.generate(ask("early", max_tokens=400))
    assert (sample.status, sample.generated_tokens, sample.text) == (Status.CANCELLED, 0, "")


async def test_abort_at_the_same_moment_wins(backend: Backend) -> None:
    sampling = asyncio.create_task(backend.generate(ask("race", max_tokens=400)))
    await asyncio.sleep(0)
    await backend.abort("race")
    sample = await sampling
    assert sample.status is Status.CANCELLED
    assert sample.generated_tokens < 400


async def test_abort_under_way_returns_what_there_is(backend: Backend) -> None:
    long = await under_way(backend, "during")
    await backend.abort("during")
    sample = await long
    assert sample.status is Status.CANCELLED
    assert 0 < sample.generated_tokens < 400
    assert len(sample.token_ids) == sample.generated_tokens
    assert sample.text
    await nothing_runs(backend)


async def test_abort_after_the_end_does_nothing(backend: Backend) -> None:
    await backend.generate(ask("over"))
    await backend.abort("over")
    assert (await backend.generate(ask("next"))).status is not Status.CANCELLED


async def test_abort_of_one_leaves_its_siblings(backend: Backend) -> None:
    sibling = await under_way(backend, "keep", max_tokens=40)
    long = await under_way(backend, "drop")
    await backend.abort("drop")
    assert (await long).status is Status.CANCELLED
    assert (await sibling).status is Status.TRUNCATED


async def test_cancel_raises_and_leaves_nothing_running(backend: Backend) -> None:
    long = await under_way(backend, "cancel")
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long
    await nothing_runs(backend)
    assert (await backend.generate(ask("alive"))).generated_tokens == 8


async def test_a_request_that_can_never_succeed_is_rejected(backend: Backend) -> None:
    with pytest.raises(RequestRejected):
        await backend.generate(ask("long", prompt=TOO_LONG))
    assert (await backend.generate(ask("fine"))).generated_tokens == 8


async def test_a_batch_answers_every_request_once(backend: Backend) -> None:
    """`generate_many`, where a backend has it, gives what `generate` gives."""
    ids = [f"batch/q/s{i}" for i in range(8)]
    requests = [ask(name, max_tokens=4) for name in ids]
    results: dict[str, Result] = {}

    def done(request: Request, result: Result) -> None:
        assert request.id not in results
        results[request.id] = result

    await generate_each(backend, requests, done)
    samples = [result for result in results.values() if isinstance(result, Sample)]
    assert sorted(results) == sorted(sample.id for sample in samples) == ids
    assert {sample.status for sample in samples} == {Status.TRUNCATED}
    assert {sample.generated_tokens for sample in samples} == {4}


async def test_cancelling_a_batch_leaves_nothing_running(backend: Backend) -> None:
    """Afterwards the backend answers other requests."""
    requests = [ask(f"cancelled/q/s{i}", max_tokens=400) for i in range(4)]
    batch = asyncio.create_task(generate_each(backend, requests, lambda *_: None))
    await backend.generate(ask("cancelled/q/other", max_tokens=2))
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    await nothing_runs(backend)
    assert (await backend.generate(ask("cancelled/q/after", max_tokens=2))).generated_tokens == 2
