"""The input of a reward model: the same ids for training and serving, with the question."""

from __future__ import annotations

from typing import Any

import pytest

from nbest.model_backend.reward.text import reward_ids
from nbest.orchestrator.errors import RequestRejected
from nbest.orchestrator.types import Message

CHAT = (Message(role="user", content="2+2?"),)


class Letters:
    """A tokenizer of one token a letter; 1 begins a text, as a special token does."""

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [1] * add_special_tokens + [ord(letter) for letter in text]

    def apply_chat_template(
        self, conversation: Any, tokenize: bool = True, add_generation_prompt: bool = False
    ) -> Any:
        assert not tokenize
        text = "".join(f"<{turn['role']}>{turn['content']}</>" for turn in conversation)
        return text + "<assistant>" * add_generation_prompt


class Reopened(Letters):
    """A tokenizer whose template writes a finished turn in another way than one that begins."""

    def apply_chat_template(
        self, conversation: Any, tokenize: bool = True, add_generation_prompt: bool = False
    ) -> Any:
        text = super().apply_chat_template(conversation, False, False)
        return text + "<assistant><think>" * add_generation_prompt


def text_of(ids: tuple[int, ...]) -> str:
    return "".join(chr(i) for i in ids if i != 1)


def test_a_raw_prompt_is_followed_by_the_response_as_it_was_written() -> None:
    model_input = reward_ids(Letters(), "Q: 2+2?\nA:", " 4", 100)
    assert text_of(model_input.ids) == "Q: 2+2?\nA: 4"
    assert model_input.ids.count(1) == 1
    assert not model_input.is_cut


def test_in_a_chat_the_response_is_the_turn_of_the_assistant() -> None:
    model_input = reward_ids(Letters(), CHAT, "4", 100)
    assert text_of(model_input.ids) == "<user>2+2?</><assistant>4</>"
    assert 1 not in model_input.ids  # the template writes its own


@pytest.mark.parametrize(("prompt", "length"), [("Q: 2+2?\nA:", 11), (CHAT, 24)])
def test_what_is_too_long_loses_the_start_of_the_response(prompt: Any, length: int) -> None:
    whole = reward_ids(Letters(), prompt, "abcdefghijklmnop", 1000)
    cut = reward_ids(Letters(), prompt, "abcdefghijklmnop", len(whole.ids) - 3)
    assert cut.is_cut
    assert len(cut.ids) == len(whole.ids) - 3
    assert cut.ids[:length] == whole.ids[:length]
    assert cut.ids[length:] == whole.ids[length + 3 :]


def test_what_fits_to_the_token_is_not_cut() -> None:
    whole = reward_ids(Letters(), CHAT, "abcdefgh", 1000)
    assert reward_ids(Letters(), CHAT, "abcdefgh", len(whole.ids)) == whole


def test_a_template_that_reopens_the_turn_still_keeps_the_question() -> None:
    whole = reward_ids(Reopened(), CHAT, "abcdefghijklmnop", 1000)
    cut = reward_ids(Reopened(), CHAT, "abcdefghijklmnop", len(whole.ids) - 2)
    assert text_of(cut.ids).startswith("<user>2+2?</><assistant>")
    assert cut.is_cut


def test_a_question_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(RequestRejected, match=r"question must leave 8 .* 20 tokens .* of 31"):
        reward_ids(Letters(), "x" * 30, "abcdefgh", 20)
