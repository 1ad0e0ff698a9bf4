"""A server that misbehaves: every sample is whole or a failure with a reason, and none is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from nbest.model_backend.fake.script import Reply
from nbest.model_backend.openai import connection, engine, opening
from nbest.model_backend.openai.engine import EndpointEngine
from nbest.model_backend.openai.settings import Endpoint
from nbest.orchestrator.engines.local_engine import LocalEngine
from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.engines.pool_engine import PooledEngine
from nbest.orchestrator.errors import (
    BackendError,
    EngineDead,
    InputError,
    NotBegun,
    Overloaded,
    RequestRejected,
)
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Message, Request, Sample, Status
from tests.model_backend.openai.fake_server import (
    FakeServer,
    Fault,
    is_silent,
    resets,
    says,
    serving,
    streams,
)

KEY = "sk-planted-5f1d"
CHAT = (Message(role="user", content="Say 42."),)
PARAMS = SamplingParams(max_tokens=64)
WHOLE = {"choices": [{"index": 0, "message": {"content": "42"}, "finish_reason": "stop"}]}


def script(request: Request) -> Reply:
    """Words that depend on the seed, one after the other."""
    seed = 0 if request.params.temperature == 0 else request.seed
    return Reply(tokens=(f"{seed} ", "is ", "42"), token_s=0.001)


def ask(name: str = "r/q/s0", **settings: object) -> Request:
    params = replace(PARAMS, **settings)  # type: ignore[arg-type]
    return Request(id=name, prompt=CHAT, params=params, seed=7)


@asynccontextmanager
async def opened(fake: FakeServer, /, **settings: object) -> AsyncIterator[EndpointEngine]:
    """A live connection to a server, with what the opening had asked forgotten."""
    more = {"patience_s": 0.0} | settings
    endpoint = Endpoint(fake.model, base_url=fake.url, **more)  # type: ignore[arg-type]
    async with endpoint.open("e0") as live:
        fake.bodies.clear()
        yield live


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PAUSE_S", 0.001)


@pytest.fixture(params=[True, False], ids=["streamed", "whole"])
def is_streamed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def test_a_sample_with_what_it_cost(is_streamed: bool) -> None:
    async with (
        serving(FakeServer(script)) as server,
        opened(server, stream=is_streamed) as live,
    ):
        sample = await live.generate(ask(logprobs=2))
    assert (sample.text, sample.status) == ("7 is 42", Status.OK)
    assert (sample.prompt_tokens, sample.generated_tokens) == (3, 3)
    assert sample.logprobs == (-1.0, -1.0, -1.0)
    assert sample.top_logprobs is not None
    assert sample.top_logprobs.array().shape == (3, 2)
    assert 0 < sample.first_token_s <= sample.total_s
    assert sample.engine == ("e0@v1" if is_streamed else "e0")


FAULTS = {
    "500": says(500, {"error": "oops"}),
    "502 as HTML": says(502, "<html><title>Bad Gateway</title></html>"),
    "reset": resets,
    "half JSON": says(200, '{"choices": [{"message": {"content": "4'),
    "HTML under 200": says(200, "<html>hello</html>"),
    "no choice": says(200, {"choices": []}),
    "null choices": says(200, {"choices": None}),
    "error under 200": says(200, {"error": {"message": "CUDA", "type": "server_error"}}),
    "NaN": says(200, '{"choices": [{"logprobs": {"token_logprobs": [NaN]}}]}'),
    "deep JSON": says(200, '{"choices": ' + "[" * 50_000),
    "cut stream": streams({"choices": [{"delta": {"content": "4"}}]}, is_cut=True),
    "short stream": streams({"choices": [{"delta": {"content": "4"}}]}),
    "error in a stream": streams({"choices": [{"delta": {"content": "4"}}]}, {"error": "CUDA"}),
    "429": says(429, {"error": "slow down"}, {"Retry-After": "0"}),
    "503": says(503, {"error": "loading"}, {"Retry-After-Ms": "1"}),
}


@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_after_a_fault_the_same_request_gives_the_same_sample(
    name: str, is_streamed: bool
) -> None:
    async with (
        serving(FakeServer(script)) as server,
        opened(server, stream=is_streamed) as live,
    ):
        plain = await live.generate(ask())
        server.faults.append(FAULTS[name])
        sample = await live.generate(ask())
        asked = server.bodies
    assert (sample.text, sample.status) == (plain.text, plain.status)
    assert sample.token_ids == plain.token_ids
    assert asked[0] == asked[1] == asked[2]


@pytest.mark.parametrize("name", sorted({*FAULTS} - {"429", "503"}))
async def test_a_fault_that_stays_is_the_samples_failure(name: str) -> None:
    async with serving(FakeServer(script)) as server, opened(server) as live:
        server.faults.extend([FAULTS[name]] * engine.TRIES)
        with pytest.raises(BackendError, match=r"\(3 times\)") as caught:
            await live.generate(ask())
        assert type(caught.value) is BackendError
        assert (await live.generate(ask())).text == "7 is 42"


async def test_a_server_that_stays_busy_is_an_overloaded_engine() -> None:
    async with serving(FakeServer(script)) as server, opened(server) as live:
        server.faults.extend([FAULTS["429"]] * engine.REFUSALS)
        with pytest.raises(Overloaded, match="slow down"):
            await live.generate(ask())


async def test_a_refusal_halves_what_is_under_way() -> None:
    async with (
        serving(FakeServer(script)) as server,
        opened(server, max_concurrency=8) as live,
    ):
        server.faults.append(FAULTS["429"])
        await live.generate(ask())
        server.most = 0
        await asyncio.gather(*(live.generate(ask(f"r/q/s{i}")) for i in range(6)))
        assert server.most <= 5  # half, and what one round of successes gives back


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (says(400, {"error": {"message": "too long"}}), RequestRejected),
        (says(422, {"detail": [{"msg": "too long"}]}), RequestRejected),
        (says(413, "<html>too long</html>"), RequestRejected),
    ],
)
async def test_a_request_that_can_never_succeed_is_tried_once(
    fault: object, error: type[BackendError]
) -> None:
    async with serving(FakeServer(script)) as server, opened(server) as live:
        server.faults.append(fault)  # type: ignore[arg-type]
        with pytest.raises(error):
            await live.generate(ask())
        assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("finish", "status"),
    [
        ("stop", Status.OK),
        ("length", Status.TRUNCATED),
        ("content_filter", Status.UNPARSEABLE),
        ("tool_calls", Status.UNPARSEABLE),
    ],
)
async def test_how_a_sample_ended(finish: str, status: Status) -> None:
    choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": finish}
    async with serving(FakeServer(script)) as server, opened(server) as live:
        server.faults.append(streams({"choices": [choice]}))
        assert (await live.generate(ask())).status is status


async def test_an_abort_of_the_servers_own_is_drawn_again() -> None:
    choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": "abort"}
    async with serving(FakeServer(script)) as server, opened(server) as live:
        server.faults.append(streams({"choices": [choice]}))
        sample = await live.generate(ask())
    assert (sample.text, sample.status) == ("7 is 42", Status.OK)


async def test_an_unknown_end_is_a_failure() -> None:
    choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": "sunset"}
    async with serving(FakeServer(script)) as server, opened(server) as live:
        server.faults.append(streams({"choices": [choice]}))
        with pytest.raises(BackendError, match="'sunset'"):
            await live.generate(ask())


async def test_a_refusal_of_the_model_is_no_answer() -> None:
    choice = {"index": 0, "message": {"content": None, "refusal": "I cannot"}}
    async with serving(FakeServer(script)) as server, opened(server, stream=False) as live:
        server.faults.append(says(200, {"choices": [choice | {"finish_reason": "stop"}]}))
        sample = await live.generate(ask())
    assert (sample.status, sample.text) == (Status.UNPARSEABLE, "")


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_a_thought_is_apart_from_the_answer(field: str) -> None:
    pieces = [{field: "41? "}, {field: "No."}, {"content": "\n\n42"}]
    events = [{"choices": [{"delta": piece, "finish_reason": None}]} for piece in pieces]
    events.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    usage = {"prompt_tokens": 3, "completion_tokens": 8}
    details = {"completion_tokens_details": {"reasoning_tokens": 6}}
    async with serving(FakeServer(script)) as server, opened(server) as live:
        server.faults.append(streams(*events, {"choices": [], "usage": usage | details}))
        sample = await live.generate(ask())
    assert (sample.reasoning, sample.text) == ("41? No.", "42")
    assert (sample.generated_tokens, sample.reasoning_tokens) == (8, 6)


async def test_a_thought_between_tags_is_apart_too_and_one_without_end_is_cut_off() -> None:
    def said(text: str) -> dict[str, object]:
        return {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}

    async with serving(FakeServer(script)) as server, opened(server, stream=False) as live:
        server.faults.append(says(200, said("<think>41?</think>42")))
        server.faults.append(says(200, said("<think>41? \\boxed{41}")))
        ended = await live.generate(ask())
        cut = await live.generate(ask())
        server.faults.append(says(200, {"choices": [thought_alone()]}))
        alone = await live.generate(ask())
    assert (ended.reasoning, ended.text, ended.status) == ("41?", "42", Status.OK)
    assert (cut.text, cut.status) == ("", Status.TRUNCATED)
    assert (alone.text, alone.reasoning, alone.status) == ("", "41", Status.TRUNCATED)


def thought_alone() -> dict[str, object]:
    return {"message": {"content": None, "reasoning": "41"}, "finish_reason": "stop"}


async def test_only_the_first_of_several_choices_is_the_sample() -> None:
    other = {"index": 1, "message": {"content": "other"}, "finish_reason": "length"}
    choices = [other, WHOLE["choices"][0]]
    async with serving(FakeServer(script)) as server, opened(server, stream=False) as live:
        server.faults.append(says(200, {"choices": choices}))
        sample = await live.generate(ask())
    assert (sample.text, sample.status) == ("42", Status.OK)


@pytest.mark.parametrize(
    "choices",
    [
        [{"message": {"content": "42"}, "finish_reason": "stop"}, {"message": {"content": "17"}}],
        [
            {"index": 0, "message": {"content": "42"}, "finish_reason": "stop"},
            {"index": 0, "message": {"content": "17"}},
        ],
    ],
)
async def test_choices_are_never_glued_together(choices: list[object]) -> None:
    async with serving(FakeServer(script)) as server, opened(server, stream=False) as live:
        server.faults.append(says(200, {"choices": choices}))
        assert (await live.generate(ask())).text == "42"


async def test_what_comes_after_the_end_is_not_part_of_it() -> None:
    pieces = [("42", "stop"), ("17", None)]
    events = [{"choices": [{"delta": {"content": t}, "finish_reason": f}]} for t, f in pieces]
    async with serving(FakeServer(script)) as server, opened(server) as live:
        server.faults.append(streams(*events))
        assert (await live.generate(ask())).text == "42"


HOSTILE_NUMBERS = {
    "count": {"usage": {"prompt_tokens": 1, "completion_tokens": 10**20}},
    "huge count": {"usage": {"prompt_tokens": 10**400}},
    "negative count": {"usage": {"completion_tokens": -1}},
    "token id": {"choices": [{"message": {"content": "4"}, "token_ids": [10**12]}]},
    "negative id": {"choices": [{"message": {"content": "4"}, "token_ids": [-1]}]},
    "text": {"choices": [{"message": {"content": {"a": 1}}}]},
}


@pytest.mark.parametrize("name", sorted(HOSTILE_NUMBERS))
async def test_numbers_that_no_store_keeps_are_no_reply(name: str) -> None:
    async with serving(FakeServer(script)) as server, opened(server, stream=False) as live:
        server.faults.append(says(200, WHOLE | HOSTILE_NUMBERS[name]))
        assert (await live.generate(ask())).text == "7 is 42"


async def test_no_more_is_cached_than_there_is() -> None:
    usage = {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 999}}
    async with serving(FakeServer(script)) as server, opened(server, stream=False) as live:
        server.faults.append(says(200, WHOLE | {"usage": usage}))
        assert (await live.generate(ask())).cached_tokens == 5


async def test_what_a_server_calls_itself_is_short_and_plain() -> None:
    reply = WHOLE | {"system_fingerprint": "v\x1b[31m" + "9" * 10_000}
    async with serving(FakeServer(script)) as server, opened(server, stream=False) as live:
        server.faults.append(says(200, reply))
        engine_name = (await live.generate(ask())).engine
    assert engine_name.isprintable()
    assert len(engine_name) < 100


def endless(event: bytes) -> Fault:
    """A fault: the same event again and again, for ever."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(event)
            await asyncio.sleep(0.0005)

    return answer


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices": [{"delta": {"content": "' + b"word " * 500 + b'"}}]}\n\n',
        b'data: {"choices": [{"text": "x", "token_ids": [1, 2, 3]}]}\n\n',
        b": ping\n\n",
        b'data: {"choices": []}\n\n',
    ],
    ids=["text", "tokens", "heartbeats", "empty"],
)
async def test_a_stream_without_end_is_left(event: bytes) -> None:
    async with (
        serving(FakeServer(script)) as server,
        opened(server, read_timeout_s=0.3) as live,
    ):
        server.faults.append(endless(event))
        assert (await live.generate(ask())).text == "7 is 42"


async def test_a_long_page_that_says_what_is_wrong_is_not_read_to_its_end() -> None:
    async with serving(FakeServer(script)) as server, opened(server) as live:
        server.faults.append(says(400, "<title>no</title>" + "x" * 20_000_000))
        with pytest.raises(RequestRejected, match="400: a page of HTML: no"):
            await live.generate(ask())


async def test_far_fewer_logprobs_than_tokens_are_refused() -> None:
    position = {"token": "a", "logprob": -1}
    choice = WHOLE["choices"][0] | {"logprobs": {"content": [position]}}  # type: ignore[operator]
    reply = {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 8}}
    async with serving(FakeServer(script)) as server, opened(server, stream=False) as live:
        server.faults.append(says(200, reply))
        with pytest.raises(BackendError, match="1 log-probabilities for 8 tokens"):
            await live.generate(ask(logprobs=0))


async def test_one_prompt_that_is_forbidden_costs_no_other() -> None:
    async with serving(FakeServer(script)) as server, opened(server) as live:
        server.faults.append(says(403, {"error": {"message": "flagged"}}))
        with pytest.raises(RequestRejected, match="403: flagged"):
            await live.generate(ask())
        assert (await live.generate(ask())).text == "7 is 42"


async def test_connections_are_used_again() -> None:
    async with serving(FakeServer(script)) as server, opened(server) as live:
        for i in range(10):
            await live.generate(ask(f"r/q/s{i}"))
        assert server.connections <= 3  # those that looked at seeds together


async def test_closing_wakes_what_is_under_way() -> None:
    """aiohttp would let a reader of a closed session wait for ever."""
    async with serving(FakeServer(script)) as server:
        context = opened(server)
        live = await context.__aenter__()
        server.gate.clear()
        drawing = asyncio.ensure_future(live.generate(ask()))
        await server.is_asked.wait()
        await context.__aexit__(None, None, None)
        with pytest.raises(NotBegun, match="closed"):
            await drawing
        with pytest.raises(NotBegun, match="closed"):
            await live.generate(ask("r/q/s1"))


async def test_a_denial_among_many_reopens_and_hangs_nobody() -> None:
    """One request is denied for once, while others are under way, through a pool."""
    async with serving(FakeServer(script)) as server:
        local = LocalEngine(Endpoint("fake", base_url=server.url), "e0")
        await local.revive()
        pooled = PooledEngine(name="e0", backend=local, slots=8, revive=local.revive)
        pool = Pool([pooled])
        server.faults.append(says(401, {"error": {"message": "expired for a moment"}}))
        samples = await asyncio.gather(*(pool.generate(ask(f"r/q{i}/s0")) for i in range(12)))
        assert {sample.text for sample in samples} == {"7 is 42"}
        await pool.close()
        await local.close()


async def test_a_server_that_loads_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LOOK_AGAIN_S", 0.001)
    async with serving(FakeServer(script, loads=3)) as server:
        async with opened(server, patience_s=30.0) as live:
            assert (await live.generate(ask())).text == "7 is 42"
        server.loads = 10_000
        with pytest.raises(BackendError, match="is not ready: 503: loading"):
            await open_and_close(server, patience_s=0.01)


async def test_a_stop_string_that_the_server_let_pass_is_cut_out() -> None:
    async with serving(FakeServer(script)) as server, opened(server, stream=False) as live:
        text = {"message": {"content": "42\nQ: more"}, "finish_reason": "length"}
        server.faults.append(says(200, {"choices": [text]}))
        sample = await live.generate(ask(stop=("\nQ:",)))
    assert (sample.text, sample.status) == ("42", Status.OK)


async def test_missing_logprobs_are_refused_where_they_were_asked_for() -> None:
    async with serving(FakeServer(script, has_logprobs=False)) as server, opened(server) as live:
        with pytest.raises(RequestRejected, match="no log-probabilities"):
            await live.generate(ask(logprobs=0))
        assert (await live.generate(ask())).logprobs is None


async def test_too_few_of_the_likeliest_tokens_are_refused() -> None:
    position = {"token": "a", "logprob": -1, "top_logprobs": [{"token": "a", "logprob": -1}]}
    choice = WHOLE["choices"][0] | {"logprobs": {"content": [position]}}  # type: ignore[operator]
    async with serving(FakeServer(script)) as server, opened(server, stream=False) as live:
        server.faults.append(says(200, {"choices": [choice]}))
        with pytest.raises(RequestRejected, match="1 of the 5 likeliest"):
            await live.generate(ask(logprobs=5))


async def test_without_usage_the_tokens_are_counted_as_they_come() -> None:
    async with serving(FakeServer(script, has_usage=False)) as server, opened(server) as live:
        assert (await live.generate(ask())).generated_tokens == 3


async def test_an_abort_leaves_the_server_at_once_and_keeps_what_there_is() -> None:
    def slow(request: Request) -> Reply:
        return Reply(tokens=(f"{request.seed}", *" x" * 200), token_s=0.005)

    async with serving(FakeServer(slow)) as server, opened(server) as live:
        drawing = asyncio.ensure_future(live.generate(ask(max_tokens=400)))
        await live.generate(ask("r/q/s1", max_tokens=8))
        await live.abort("r/q/s0")
        sample = await drawing
        assert sample.status is Status.CANCELLED
        assert 0 < sample.generated_tokens < 400
        assert sample.prompt_tokens == 3
        async with asyncio.timeout(0.5):
            await server.is_idle.wait()
        assert server.left == 1


async def test_silence_is_a_failure_in_the_end() -> None:
    async with (
        serving(FakeServer(script)) as server,
        opened(server, read_timeout_s=0.05) as live,
    ):
        server.faults.append(is_silent)
        assert (await live.generate(ask())).text == "7 is 42"
        server.faults.extend([is_silent] * engine.TRIES)
        with pytest.raises(BackendError, match=r"read_timeout_s.*\(3 times\)"):
            await live.generate(ask())


async def test_no_connection_accuses_no_query_and_a_lost_one_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(FakeServer(script)) as server:
        port = int(server.url.rsplit(":", 1)[1].partition("/")[0])
        context = opened(server)
        live = await context.__aenter__()
    with pytest.raises(NotBegun, match="the server was away"):
        await live.generate(ask())
    async with serving(FakeServer(script), port) as server:
        assert (await live.generate(ask())).text == "7 is 42"
        monkeypatch.setattr(connection.Connection, "models", _fails)
        server.faults.extend([resets] * 3)
        with pytest.raises(EngineDead) as caught:
            await live.generate(ask())
        assert type(caught.value) is EngineDead
        await context.__aexit__(None, None, None)


async def _fails(self: object) -> list[dict[str, str]]:
    from nbest.model_backend.openai.failures import Broken

    raise Broken("gone")


async def test_a_restarted_server_is_found_again_by_the_pool() -> None:
    async with serving(FakeServer(script)) as server:
        port = int(server.url.rsplit(":", 1)[1].partition("/")[0])
        settings = Endpoint("fake", base_url=server.url, patience_s=30.0)
        local = LocalEngine(settings, "e0")
        await local.revive()
    pooled = PooledEngine(name="e0", backend=local, slots=8, revive=local.revive)
    pool = Pool([pooled])
    drawing = [asyncio.ensure_future(pool.generate(ask(f"r/q/s{i}"))) for i in range(4)]
    await asyncio.sleep(0.05)
    async with serving(FakeServer(script), port):
        samples = await asyncio.gather(*drawing)
    assert {sample.text for sample in samples} == {"7 is 42"}
    await pool.close()
    await local.close()


async def test_a_key_is_sent_and_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    echo = says(400, {"error": {"message": f"bad request with Bearer {KEY}"}})
    async with (
        serving(FakeServer(script, key=KEY)) as server,
        opened(server, api_key_env="PLANTED_KEY") as live,
    ):
        server.faults.append(echo)
        with pytest.raises(RequestRejected) as caught:
            await live.generate(ask())
        assert KEY not in repr(caught.getrepr(style="long"))
        assert "***" in str(caught.value)
        sample = await live.generate(ask())
        assert all(h["Authorization"] == f"Bearer {KEY}" for h in server.headers)
    endpoint = Endpoint("fake", base_url=server.url, api_key_env="PLANTED_KEY")
    assert KEY not in repr(endpoint) + json.dumps(dict(endpoint.identity)) + repr(sample)


async def test_a_denial_under_way_ends_the_run_and_accuses_no_query() -> None:
    async with serving(FakeServer(script)) as server, opened(server) as live:
        server.faults.append(says(401, {"error": {"message": "expired"}}))
        with pytest.raises(NotBegun, match="401: expired"):
            await live.generate(ask())
        server.faults.append(says(429, {"error": {"code": "insufficient_quota"}}))
        with pytest.raises(NotBegun):
            await live.generate(ask())


async def test_a_reward_request_is_refused() -> None:
    async with serving(FakeServer(script)) as server, opened(server) as live:
        with pytest.raises(RequestRejected, match="rates no responses"):
            await live.generate(replace(ask(), response="42"))


async def test_many_at_once_are_themselves() -> None:
    def own(request: Request) -> Reply:
        return Reply(tokens=(f"{request.seed}",), token_s=0.001)

    async with serving(FakeServer(own)) as server, opened(server) as live:
        requests = [replace(ask(f"r/q/s{i}"), seed=i) for i in range(300)]
        samples: list[Sample] = await asyncio.gather(*map(live.generate, requests))
        assert server.most <= 64
    assert [(s.id, s.text) for s in samples] == [(f"r/q/s{i}", f"{i}") for i in range(300)]


# What is found out when the connection is opened.


async def test_a_port_where_nobody_listens() -> None:
    with pytest.raises(BackendError, match=r"nothing answers at http://127.0.0.1:9/v1"):
        async with Endpoint("m", base_url="http://127.0.0.1:9/v1").open():
            pass


async def open_and_close(fake: FakeServer, /, **settings: object) -> None:
    async with opened(fake, **settings):
        pass


async def test_a_wrong_key_and_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(FakeServer(script, key=KEY)) as server:
        with pytest.raises(InputError, match=r"api_key_env must .*401: wrong key"):
            await open_and_close(server)
        with pytest.raises(InputError, match="NBEST_NO_SUCH_KEY"):
            await open_and_close(server, api_key_env="NBEST_NO_SUCH_KEY")
        monkeypatch.setenv("NBEST_BAD_KEY", "a\nb")
        with pytest.raises(InputError, match="NBEST_BAD_KEY"):
            await open_and_close(server, api_key_env="NBEST_BAD_KEY")


async def test_a_model_that_is_not_served_is_named_with_the_nearest() -> None:
    async with serving(FakeServer(script, model="llama-8b")) as server:
        endpoint = Endpoint("lama-8b", base_url=server.url)
        with pytest.raises(InputError, match=r"got 'lama-8b'; did you mean 'llama-8b'\?"):
            async with endpoint.open():
                pass


async def test_a_key_that_may_not_list_models_may_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    async with serving(FakeServer(script, key="another")) as server:
        with pytest.raises(InputError, match="401"):
            await open_and_close(server, api_key_env="PLANTED_KEY")
        async with opened(server, api_key_env="PLANTED_KEY", server="vllm") as live:
            assert (await live.generate(ask())).text == "7 is 42"


async def test_thoughts_that_are_not_shown_prove_nothing_about_seeds() -> None:
    async with serving(FakeServer(lambda request: Reply(tokens=("",) * 3))) as server:
        with pytest.raises(InputError, match=r"are a thought that .* does not show"):
            await open_and_close(server)


async def test_one_canary_that_differs_is_drawn_once_more() -> None:
    counts = iter(range(100))

    def busy(request: Request) -> Reply:
        """Rounds otherwise in the second of its batches."""
        return Reply(tokens=("x",)) if next(counts) in (1, 2) else script(request)

    async with serving(FakeServer(busy)) as server:
        await open_and_close(server)


async def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(FakeServer(script, owner="x")) as server:
        server.faults.append(says(307, "", {"Location": "http://127.0.0.1:9/v1"}))
        with pytest.raises(InputError, match="a redirect"):
            await open_and_close(server)


async def test_a_server_without_seeds_is_told_of_and_taken_where_that_is_said() -> None:
    counts = iter(range(10_000))

    def unseeded(request: Request) -> Reply:
        return Reply(tokens=(f"{next(counts)}",))

    async with serving(FakeServer(unseeded)) as server:
        with pytest.raises(InputError, match=r"seeds must be none: .* different samples"):
            await open_and_close(server)
        async with opened(server, seeds="none") as live:
            await live.generate(ask())
            assert "seed" not in server.bodies[-1]
        async with opened(server, seeds="trusted") as live:
            await live.generate(ask())
            assert server.bodies[-1]["seed"] == 7


async def test_a_server_that_draws_one_sample_for_all_seeds_is_refused() -> None:
    async with serving(FakeServer(lambda request: Reply(tokens=("42",)))) as server:
        with pytest.raises(InputError, match="the same sample for two seeds"):
            await open_and_close(server)


async def test_a_model_without_a_chat_template_is_probed_by_raw_text() -> None:
    def raw(request: Request) -> Reply:
        if not isinstance(request.prompt, str):
            return Reply(tokens=(), error=RequestRejected("no chat template"))
        return script(request)

    async with serving(FakeServer(raw)) as server, opened(server) as live:
        sample = await live.generate(replace(ask(), prompt="Q:"))
        assert sample.text == "7 is 42"
