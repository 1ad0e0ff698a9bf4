"""Questions about samples: their keys, and many of them at once."""

from __future__ import annotations

import asyncio

import pytest

from nbest.orchestrator.query.model_calls import BatchedAsk, call_key
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Message, Sample

PARAMS = SamplingParams(max_tokens=4)


def test_a_key_says_whose_question_it_is_and_differs_with_all_that_is_asked() -> None:
    chat = (Message(role="user", content="x"),)
    keys = [
        call_key("q1", "judge", "x", PARAMS),
        call_key("q2", "judge", "x", PARAMS),
        call_key("q1", "judge2", "x", PARAMS),
        call_key("q1", "judge", "y", PARAMS),
        call_key("q1", "judge", chat, PARAMS),
        call_key("q1", "judge", "x", SamplingParams(max_tokens=5)),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0].startswith("q1/judge-")
    assert keys[0] == call_key("q1", "judge", "x", SamplingParams(max_tokens=4))


async def test_together_asks_at_once_and_the_same_thing_once() -> None:
    everybody = asyncio.Event()
    waiting: list[object] = []

    async def one(name: str, prompt: str | tuple[Message, ...], params: SamplingParams) -> Sample:
        waiting.append(prompt)
        if len(waiting) == 3:
            everybody.set()
        await everybody.wait()
        return Sample(id=f"{name}/{prompt}", text="")

    samples = await BatchedAsk(one=one).together("judge", ["a", "b", "a", "c"], PARAMS)
    assert [s.id for s in samples] == ["judge/a", "judge/b", "judge/a", "judge/c"]
    assert sorted(map(str, waiting)) == ["a", "b", "c"]


async def test_a_failure_leaves_nothing_running() -> None:
    ended: list[str] = []

    async def one(name: str, prompt: str | tuple[Message, ...], params: SamplingParams) -> Sample:
        if prompt == "bad":
            raise ValueError("no")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(str(prompt))
        raise AssertionError

    with pytest.raises(ValueError, match="no"):
        await BatchedAsk(one=one).together("judge", ["a", "bad", "b"], PARAMS)
    assert sorted(ended) == ["a", "b"]


@pytest.mark.parametrize(
    ("prompt", "params", "key"),
    [
        ("Is it 7?", SamplingParams(), "3798b5d5dd169032"),
        ('it\'s "7"', SamplingParams(max_tokens=1, stop=("\n",)), "17119e39d10752d1"),
        ((Message(role="user", content="7?"),), SamplingParams(logprobs=5), "ed95a7f369404410"),
    ],
)
def test_keys_stay_what_they_were(
    prompt: str | tuple[Message, ...], params: SamplingParams, key: str
) -> None:
    """Calls that runs have stored are found by them. These are of version 0.1."""
    assert call_key("q", "judge", prompt, params) == f"q/judge-{key}"
