"""Writes what a reward model reads: the token ids of a question and a response to it.

Training and serving both take them from here: a verifier that is asked in another format than it
was trained on still answers, only worse.

It knows tokenizers by their shape, and imports no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nbest.orchestrator.errors import RequestRejected
from nbest.orchestrator.types import Message

# A response that is cut keeps at least so many: fewer would be nothing to rate.
FEWEST_RESPONSE_TOKENS = 8


class Tokenizer(Protocol):
    """The methods that the tokenizers of transformers and vLLM share."""

    def encode(self, text: str, add_special_tokens: bool = ...) -> list[int]: ...

    def apply_chat_template(
        self, conversation: Any, tokenize: bool = ..., add_generation_prompt: bool = ...
    ) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardIds:
    """The token ids of a question and a response to it."""

    ids: tuple[int, ...]
    is_cut: bool  # the start of the response is missing, because it was too long


def reward_ids(
    tokenizer: Tokenizer,
    prompt: str | tuple[Message, ...],
    response: str,
    max_tokens: int,
    question_after: str = "",
) -> RewardIds:
    """Return the ids of a response after its prompt, at most `max_tokens` of them.

    With a `question_after`, only what follows the last one in a raw prompt is read: a verifier need
    not read the worked examples that the samples were drawn with.

    A raw prompt is followed by the response as it was when the model wrote it; in a chat the
    response is the assistant's turn, in the reward model's own template. An input that is too long
    loses the start of the response: never the question, nor the end, which holds the answer.
    RequestRejected where the question alone leaves no room.
    """
    if isinstance(prompt, str) and question_after:
        prompt = prompt.rpartition(question_after)[2]
    before, whole = _texts(tokenizer, prompt, response)
    is_raw = isinstance(prompt, str)  # a template writes the special tokens itself
    ids = tokenizer.encode(whole, add_special_tokens=is_raw)
    if len(ids) <= max_tokens:
        return RewardIds(ids=tuple(ids), is_cut=False)
    question_ids = tokenizer.encode(before, add_special_tokens=is_raw)
    room = max_tokens - len(question_ids)
    if room < FEWEST_RESPONSE_TOKENS:
        raise RequestRejected(
            f"the question must leave {FEWEST_RESPONSE_TOKENS} of the reward model's "
            f"{max_tokens} tokens to the response, got a question of {len(question_ids)}"
        )
    response_ids = tokenizer.encode(whole[len(before) :], add_special_tokens=False)
    return RewardIds(ids=(*question_ids, *response_ids[-room:]), is_cut=True)


def _texts(
    tokenizer: Tokenizer, prompt: str | tuple[Message, ...], response: str
) -> tuple[str, str]:
    """Return the text before the response, and the whole text."""
    if isinstance(prompt, str):
        return prompt, prompt + response
    turns = [{"role": turn.role, "content": turn.content} for turn in prompt]
    turn = {"role": "assistant", "content": response}
    before = _render(tokenizer, turns, add_generation_prompt=True)
    whole = _render(tokenizer, [*turns, turn], add_generation_prompt=False)
    if not whole.startswith(before):  # a template that writes the last turn in another way
        before = _common_prefix(before, whole)
    return before, whole


def _render(
    tokenizer: Tokenizer, turns: Sequence[dict[str, str]], *, add_generation_prompt: bool
) -> str:
    text: str = tokenizer.apply_chat_template(
        list(turns), tokenize=False, add_generation_prompt=add_generation_prompt
    )
    return text


def _common_prefix(one: str, other: str) -> str:
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return one[:length]
