"""The fake backend by itself: its pace, its cuts, its answers, on a clock that the test advances.

What it shares with every other backend is tested in test_backend_contract.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import FakeBackend, ManualClock, Reply
from nbest.model_backend.fake.engine import FakeEngine
from nbest.model_backend.fake.script import Script, cut, duration_s, tokens_by
from nbest.orchestrator.errors import Overloaded, RequestRejected
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Request, Sample, Status

LETTERS = tuple("abcdefgh")


def request(name: str = "r", **params: object) -> Request:
    return Request(id=name, prompt="?", params=SamplingParams(**params), seed=1)  # type: ignore[arg-type]


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def engine(script: Script | Reply, clock: ManualClock | None = None) -> FakeEngine:
    replies = (lambda _: script) if isinstance(script, Reply) else script
    return FakeEngine(FakeBackend(script=replies, clock=clock or ManualClock()))


# The cut of what the model would say.


@pytest.mark.parametrize(
    ("tokens", "stop", "text", "num_tokens"),
    [
        (("7", "\n", "Q:"), ("\n",), "7", 2),
        (("7 <", "/s", "> more"), ("</s>",), "7 ", 3),  # it begins in one token, ends in another
        (("ab", "cd", "ef"), ("bcde",), "a", 3),
        (("7 stop", " here"), ("stop",), "7 ", 1),  # in the middle of a token
        (("xx",), ("xx",), "", 1),
        (("a", "b", "c"), ("bc", "b"), "a", 2),  # whichever is complete first
        (("a", "bc"), ("c", "b"), "a", 2),  # of two in one token, the one further to the left
        (("a", "b"), ("c",), "ab", 2),
        (("a", "b"), (), "ab", 2),
    ],
)
def test_a_stop_string_ends_the_text_and_is_left_out(
    tokens: tuple[str, ...], stop: tuple[str, ...], text: str, num_tokens: int
) -> None:
    tokens, status, ended_by = cut(tokens, SamplingParams(max_tokens=100, stop=stop))
    assert (ended_by in stop) == bool(ended_by)
    assert ("".join(tokens), len(tokens), status) == (text, num_tokens, Status.OK)


@pytest.mark.parametrize(
    ("max_tokens", "text", "status"),
    [(2, "ab", Status.TRUNCATED), (3, "abc", Status.OK), (9, "abc", Status.OK)],
)
def test_it_is_truncated_only_if_there_was_more_to_say(
    max_tokens: int, text: str, status: Status
) -> None:
    tokens, actual_status, _ = cut(("a", "b", "c"), SamplingParams(max_tokens=max_tokens))
    assert ("".join(tokens), actual_status) == (text, status)


def test_a_stop_string_beyond_max_tokens_is_never_reached() -> None:
    params = SamplingParams(max_tokens=3, stop=("<>",))
    assert cut(("a", "b", "<", ">"), params) == (("a", "b", "<"), Status.TRUNCATED, "")


words = st.lists(st.text("ab<", max_size=3), max_size=8)
stops = st.lists(st.text("ab<", min_size=1, max_size=3), max_size=3)


@given(tokens=words, stop=stops, max_tokens=st.integers(1, 9))
def test_a_cut_keeps_the_contract(
    tokens: Sequence[str], stop: Sequence[str], max_tokens: int
) -> None:
    params = SamplingParams(max_tokens=max_tokens, stop=tuple(stop))
    cut_tokens, status, _ = cut(tokens, params)
    text, whole_text = "".join(cut_tokens), "".join(tokens[:max_tokens])
    assert len(cut_tokens) <= max_tokens
    assert whole_text.startswith(text)
    assert not any(s in text for s in stop)
    if any(s in whole_text for s in stop):
        assert status is Status.OK
        assert any(whole_text.startswith(text + s) for s in stop)
    else:
        assert cut_tokens == tuple(tokens[:max_tokens])
        assert (status is Status.TRUNCATED) == (len(tokens) > max_tokens)


def test_a_stop_string_is_kept_where_it_is_wanted() -> None:
    params = SamplingParams(stop=("\n",), include_stop_str_in_output=True)
    assert cut(("7", "\n\n\n", "Q:"), params) == (("7", "\n"), Status.OK, "\n")


# Its pace.


async def test_a_reply_takes_its_time() -> None:
    clock = ManualClock()
    fake = engine(Reply(tokens=LETTERS, first_token_s=2.0, token_s=0.5), clock)
    sampling = asyncio.create_task(fake.generate(request(max_tokens=4)))
    await settle()
    clock.advance(3.9)
    await settle()
    assert (sampling.done(), fake.in_flight, fake.served) == (False, ("r",), 0)
    clock.advance(0.1)
    sample = await sampling
    assert (sample.text, sample.status) == ("abcd", Status.TRUNCATED)
    assert (sample.first_token_s, sample.total_s) == (2.0, 4.0)
    assert (fake.in_flight, fake.served) == ((), 1)


async def test_time_is_counted_from_the_request_on() -> None:
    clock = ManualClock()
    fake = engine(Reply(tokens=LETTERS, token_s=1.0), clock)
    clock.advance(100.0)
    sampling = asyncio.create_task(fake.generate(request()))
    await settle()
    clock.advance(3.0)
    await fake.abort("r")
    sample = await sampling
    assert (sample.text, sample.total_s) == ("abc", 3.0)


async def test_samples_end_in_the_order_of_their_lengths() -> None:
    clock = ManualClock()
    fake = engine(lambda r: Reply(tokens=("x",) * int(r.id), token_s=1.0), clock)
    order: list[str] = []

    async def sample(name: str) -> None:
        order.append((await fake.generate(request(name))).id)

    tasks = [asyncio.create_task(sample(name)) for name in ("3", "1", "2")]
    await settle()
    assert fake.in_flight == ("3", "1", "2")
    for _ in range(3):
        clock.advance(1.0)
        await settle()
    assert order == ["1", "2", "3"]
    await asyncio.gather(*tasks)


async def test_samples_say_which_engine_made_them() -> None:
    async with FakeBackend(script=lambda _: Reply(tokens=("x",))).open("e7") as fake:
        assert (await fake.generate(request())).engine == "e7"


async def test_without_a_pace_it_answers_at_once() -> None:
    sample = await engine(Reply(tokens=LETTERS)).generate(request())
    assert (sample.text, sample.total_s, sample.generated_tokens) == ("abcdefgh", 0.0, 8)


@pytest.mark.parametrize(
    ("elapsed_s", "num_tokens"), [(0.0, 0), (1.9, 0), (2.4, 0), (2.5, 1), (3.4, 2), (99.0, 194)]
)
def test_tokens_come_one_by_one_after_the_first(elapsed_s: float, num_tokens: int) -> None:
    reply = Reply(tokens=LETTERS, first_token_s=2.0, token_s=0.5)
    assert tokens_by(reply, elapsed_s) == num_tokens


@given(
    num_tokens=st.integers(0, 1000),
    first_token_s=st.sampled_from([0.0, 0.1, 0.3, 1.0]),
    token_s=st.sampled_from([0.001, 0.02, 0.1, 0.3, 1.0]),
)
def test_after_its_time_every_token_is_there(
    num_tokens: int, first_token_s: float, token_s: float
) -> None:
    """Each of the two is the other's inverse, rounding of floats or not."""
    reply = Reply(tokens=(), first_token_s=first_token_s, token_s=token_s)
    assert tokens_by(reply, duration_s(reply, num_tokens)) == num_tokens


def test_without_a_time_for_each_token_all_come_with_the_first() -> None:
    reply = Reply(tokens=LETTERS, first_token_s=2.0)
    assert (tokens_by(reply, 1.9), tokens_by(reply, 2.0)) == (0, 8)


async def aborted_at(
    elapsed_s: float, *, logprobs: int | None = None, stop: tuple[str, ...] = ()
) -> tuple[Sample, FakeEngine]:
    clock = ManualClock()
    fake = engine(Reply(tokens=LETTERS, first_token_s=2.0, token_s=0.5, prompt_tokens=5), clock)
    sampling = asyncio.create_task(fake.generate(request(logprobs=logprobs, stop=stop)))
    await settle()
    clock.advance(elapsed_s)
    await fake.abort("r")
    return await sampling, fake


@pytest.mark.parametrize(("elapsed_s", "text"), [(0.0, ""), (2.2, ""), (3.6, "abc")])
async def test_an_abort_keeps_the_tokens_so_far(elapsed_s: float, text: str) -> None:
    sample, fake = await aborted_at(elapsed_s, logprobs=0)
    assert (sample.status, sample.text) == (Status.CANCELLED, text)
    assert sample.generated_tokens == len(sample.token_ids) == len(text)
    assert sample.logprobs == (-1.0,) * len(text)
    assert (sample.prompt_tokens, sample.total_s) == (5, elapsed_s)
    assert sample.first_token_s == min(2.0, elapsed_s)
    assert (fake.in_flight, fake.served) == ((), 1)


async def test_an_abort_before_its_request_wins_once() -> None:
    fake = engine(Reply(tokens=LETTERS))
    await fake.abort("r")
    assert (await fake.generate(request())).status is Status.CANCELLED
    assert (await fake.generate(request())).status is Status.OK


async def test_an_abort_leaves_no_task_behind() -> None:
    _, fake = await aborted_at(3.0)
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert fake.in_flight == ()


async def test_an_aborted_sample_shows_no_stop_string_either() -> None:
    sample, _ = await aborted_at(3.6, stop=("c", "zz"))
    assert (sample.status, sample.text) == (Status.CANCELLED, "ab")


async def test_a_cancelled_caller_leaves_nothing_in_flight() -> None:
    fake = engine(Reply(tokens=LETTERS, token_s=1.0))
    sampling = asyncio.create_task(fake.generate(request()))
    await settle()
    sampling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sampling
    assert (fake.in_flight, fake.served) == ((), 1)


# Failures and log-probabilities.


async def test_a_failure_takes_its_time_too() -> None:
    clock = ManualClock()
    fake = engine(Reply(tokens=("x",), token_s=1.0, error=Overloaded("full")), clock)
    sampling = asyncio.create_task(fake.generate(request()))
    await settle()
    assert not sampling.done()
    clock.advance(1.0)
    with pytest.raises(Overloaded, match="full"):
        await sampling


async def test_an_abort_wins_over_a_failure() -> None:
    fake = engine(Reply(tokens=("x",), token_s=1.0, error=RequestRejected("no")))
    sampling = asyncio.create_task(fake.generate(request()))
    await settle()
    await fake.abort("r")
    assert (await sampling).status is Status.CANCELLED


@pytest.mark.parametrize(("k", "expected"), [(None, None), (0, (-0.1, -0.2)), (5, (-0.1, -0.2))])
async def test_logprobs_are_one_a_token_if_wanted(
    k: int | None, expected: tuple[float, ...] | None
) -> None:
    reply = Reply(tokens=("a", "b", "c"), logprobs=(-0.1, -0.2, -0.3))
    sample = await engine(reply).generate(request(max_tokens=2, logprobs=k))
    assert sample.logprobs == expected


async def test_top_logprobs_are_those_of_the_reply_filled_up_to_k() -> None:
    top = ({"a": -0.5, "x": -1.5}, {"y": -1.75, "b": -0.25})
    reply = Reply(tokens=("a", "b"), top=top)
    sample = await engine(reply).generate(request(logprobs=3, token_texts=True))
    assert sample.top_logprobs is not None
    array = sample.top_logprobs.array()
    np.testing.assert_allclose(array[:, :2], [[-0.5, -1.5], [-0.25, -1.75]])
    np.testing.assert_allclose(np.exp(array).sum(axis=1), 1.0, atol=1e-6)
    assert sample.top_logprobs.texts == ("a", "x", "<0>", "b", "y", "<0>")


async def test_top_logprobs_end_where_the_sample_does_and_only_if_asked_for() -> None:
    fake = engine(Reply(tokens=("a", "b", "c")))
    sample = await fake.generate(request(logprobs=4, max_tokens=2))
    assert sample.top_logprobs is not None
    assert sample.top_logprobs.array().shape == (2, 4)
    assert sample.top_logprobs.texts == ()
    assert (await fake.generate(request(logprobs=0))).top_logprobs is None
