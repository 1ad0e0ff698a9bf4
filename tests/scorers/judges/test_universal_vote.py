"""Universal self-consistency: one call, the response that it names, or the plain vote."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Ask, Candidates, Message, Query, Sample, Status
from nbest.scorers.judges.universal_vote import UniversalVote
from nbest.scorers.votes.majority import vote_shares

QUERY = Query(id="q", prompt=(Message(role="user", content="Why?"),))
LISTED = re.compile(r"Response (\d+)( \(given \d+ times\))?:\n<<<\w+\n(.*?)\n\w+>>>", re.DOTALL)
TEXTS = ("because", "therefore", "because", "so what", "")


def saying(reply: Callable[[str], str], heard: list[str], status: Status = Status.OK) -> Ask:
    async def ask(name: str, prompt: str | tuple[Message, ...], params: SamplingParams) -> Sample:
        assert isinstance(prompt, tuple)
        heard.append(prompt[0].content)
        return Sample(id="r", text=reply(prompt[0].content), status=status)

    return ask


def pool(ask: Ask | None, *texts: str) -> Candidates:
    samples = tuple(Sample(id=f"s{i}", text=text) for i, text in enumerate(texts))
    return Candidates(samples=samples, answers=tuple(text or None for text in texts), ask=ask)


def naming(text: str) -> Callable[[str], str]:
    def reply(prompt: str) -> str:
        number = next(n for n, _, body in LISTED.findall(prompt) if body == text)
        return f"The most consistent response is Response {number}."

    return reply


@pytest.mark.parametrize("text", ["because", "therefore", "so what"])
async def test_the_response_that_is_named_is_best(text: str) -> None:
    heard: list[str] = []
    scores = await UniversalVote()(QUERY, pool(saying(naming(text), heard), *TEXTS))
    assert TEXTS[int(np.nanargmax(scores))] == text
    assert len(heard) == 1
    listed = LISTED.findall(heard[0])
    assert sorted(body for _, _, body in listed) == ["because", "so what", "therefore"]
    assert [counted for _, counted, body in listed if body == "because"] == [" (given 2 times)"]


async def test_the_list_does_not_depend_on_the_order() -> None:
    heard: list[str] = []
    for texts in (TEXTS, TEXTS[::-1]):
        await UniversalVote()(QUERY, pool(saying(naming("because"), heard), *texts))
    assert heard[0] == heard[1]


@pytest.mark.parametrize(
    ("reply", "status"),
    [("none", Status.OK), ("Response 9", Status.OK), ("Response 1", Status.ERROR), ("", Status.OK)],
)
async def test_where_it_names_none_the_plain_vote_remains(reply: str, status: Status) -> None:
    candidates = pool(saying(lambda _: reply, [], status), *TEXTS)
    scores = await UniversalVote()(QUERY, candidates)
    np.testing.assert_array_equal(scores, vote_shares(candidates.answers))


async def test_where_all_say_the_same_nobody_is_asked() -> None:
    heard: list[str] = []
    scores = await UniversalVote()(QUERY, pool(saying(lambda _: "1", heard), "a", "a"))
    np.testing.assert_array_equal(scores, [1.0, 1.0])
    assert heard == []
    assert [UniversalVote().num_calls(n) for n in range(4)] == [0, 0, 1, 1]


async def test_without_a_model_it_says_what_is_missing() -> None:
    with pytest.raises(InputError, match=r"^universal_vote needs a model to ask: "):
        await UniversalVote()(QUERY, pool(None, "7"))
