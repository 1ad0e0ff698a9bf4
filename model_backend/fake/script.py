"""Scripts: what a fake model says to a request, and how long that takes."""

from __future__ import annotations

import json
import re
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

from nbest.orchestrator.errors import BackendError
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams, Thinking
from nbest.orchestrator.types import Message, Request, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The whole answer of the fake model to a request, before anything cuts it short.

    Example: `Reply(tokens=(" 42", "\\n"), logprobs=(-0.1, -0.2), token_s=0.01)`
    """

    tokens: tuple[str, ...]  # [T]
    token_ids: tuple[int, ...] | None = None  # [T]; None: their places
    logprobs: tuple[float, ...] | None = None  # [T] one per token; None: -1 for every token
    top: tuple[Mapping[str, float], ...] | None = None  # [T] likeliest tokens; None: made up
    first_token_s: float = 0.0  # before the first token
    token_s: float = 0.0  # for every token
    prompt_tokens: int = 1
    error: BackendError | None = None  # raised instead of answering


Script = Callable[[Request], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeededAnswers:
    """A script that draws an answer by the seed of the request: a model that is often wrong.

    To a judge's question it replies in the judge's terms: a score, a letter or a number, drawn by
    the seed as well, so that judged runs can be rehearsed. It thinks where it is told to, and rates
    a response by a hash of each of its words.

    Example: `SeededAnswers(answers=("42", "41"), weights=(2, 1))` is right two times of three.
    """

    answers: tuple[str, ...]
    weights: tuple[int, ...]
    first_token_s: float = 0.0
    token_s: float = 0.0

    def __post_init__(self) -> None:
        rule = "hold one positive whole number an answer"
        is_right = len(self.weights) == len(self.answers) and all(w > 0 for w in self.weights)
        require(bool(self.answers) and is_right, "weights", rule, self.weights)

    def __call__(self, request: Request) -> Reply:
        if request.response is not None:
            return Reply(
                tokens=(json.dumps(word_logprobs(request.response)),),
                first_token_s=self.first_token_s,
                prompt_tokens=len(f"{request.prompt} {request.response}".split()),
            )
        seed = request.seed or 0
        bounds = tuple(accumulate(self.weights))
        judged = judged_reply(request.prompt, seed)
        answer = judged or self.answers[bisect(bounds, seed % bounds[-1])]
        thought = thought_tokens(request.params.thinking)
        logprob = -1.0 - (seed % 1000) / 1000  # differs, so that ranking has work
        return Reply(
            tokens=(*thought, answer),
            logprobs=(logprob,) * (len(thought) + 1),
            first_token_s=self.first_token_s,
            token_s=self.token_s,
        )


def thought_tokens(thinking: Thinking | None) -> tuple[str, ...]:
    """A thought as long as it was asked for: 16 tokens, 4 with a low effort, at most the budget."""
    if thinking is None or thinking.enabled is False:
        return ()
    length = 4 if thinking.effort == "low" else 16
    if thinking.budget is not None:
        length = min(length, thinking.budget)
    return ("<think>", *(" so",) * length, "</think>")


def word_logprobs(response: str) -> list[float]:
    """Numbers in (-4, 0] that stand for the log-probabilities of words, always the same ones."""
    words = [word.encode("utf-8", "surrogatepass") for word in response.split()]
    return [-int.from_bytes(blake2b(word, digest_size=2).digest()) / 2**14 for word in words]


_JUDGED = re.compile(
    r"scale from 1 \(worst\) to (?P<scale>[0-9]+) \(best\)\. Reply with the number alone"
    r"|Reply with (?P<letters>A or B) alone"
    r"|Reply with its number alone, from 1 to (?P<count>[0-9]+)"
    r"|in a line of its own, named by its number, from 1 to (?P<size>[0-9]+)"
)
_TASK_CHARS = 300  # at the end of a judge's prompt, in which it says how to reply


def judged_reply(prompt: str | Sequence[Message], seed: int) -> str | None:
    """What a seeded judge replies to a judge's prompt; None where it is no such prompt."""
    text = prompt if isinstance(prompt, str) else prompt[-1].content if prompt else ""
    asked = _JUDGED.search(text[-_TASK_CHARS:])
    if asked is None:
        return None
    if asked["letters"]:
        return "AB"[seed % 2]
    return str(1 + seed % int(asked["scale"] or asked["count"] or asked["size"]))


class Cut(NamedTuple):
    """What is left of a reply, and why no more is."""

    tokens: tuple[str, ...]
    status: Status
    stop: str = ""  # the stop string that ended it


def cut(tokens: Sequence[str], params: SamplingParams) -> Cut:
    """Cut tokens at the first stop string, which is left out unless wanted, or at `max_tokens`."""
    stop, max_tokens = params.stop, params.max_tokens
    if not stop and len(tokens) <= max_tokens:
        return Cut(tuple(tokens), Status.OK)
    text = ""
    for i, token in enumerate(tokens[:max_tokens]):
        text += token
        if any(s in text for s in stop):
            at, found = min((text.index(s), s) for s in stop if s in text)
            length = at + len(found) * params.include_stop_str_in_output
            return Cut(_first_characters(tokens[: i + 1], length), Status.OK, found)
    status = Status.TRUNCATED if len(tokens) > max_tokens else Status.OK
    return Cut(tuple(tokens[:max_tokens]), status)


def cut_at_ids(reply: Reply, kept: Cut, params: SamplingParams) -> Cut:
    """Cut what is kept of a reply after its first token whose id is one of `stop_token_ids`.

    The token stays; its text is left out unless it is wanted.
    """
    stops = set(params.stop_token_ids)
    ids = (reply.token_ids or ())[: len(kept.tokens)]
    place = next((i for i, token in enumerate(ids) if token in stops), None)
    if place is None:
        return kept
    last = kept.tokens[place] if params.include_stop_str_in_output else ""
    return Cut((*kept.tokens[:place], last), Status.OK, str(ids[place]))


def _first_characters(tokens: Sequence[str], length: int) -> tuple[str, ...]:
    """Cut the tokens so that their text is the first `length` characters."""
    pieces: list[str] = []
    for token in tokens:
        pieces.append(token[:length])
        length -= len(pieces[-1])
    return tuple(pieces)


def duration_s(reply: Reply, num_tokens: int) -> float:
    """Return how long this many tokens of a reply take."""
    return reply.first_token_s + reply.token_s * num_tokens


def tokens_by(reply: Reply, elapsed_s: float) -> int:
    """Return how many tokens of a reply exist after this time."""
    if reply.token_s <= 0:
        return len(reply.tokens) if elapsed_s >= reply.first_token_s else 0
    # A whole number of tokens may come out of the division a little too small.
    return max(0, int((elapsed_s - reply.first_token_s) / reply.token_s + 1e-6))
