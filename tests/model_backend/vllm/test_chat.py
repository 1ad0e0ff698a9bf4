"""Chat templates: the model's own or another, with arguments that it reads and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nbest import VLLM
from nbest.model_backend.vllm.chat import ChatFormat, variables_of
from nbest.orchestrator.errors import InputError, RequestRejected
from nbest.orchestrator.sampling_params import Thinking
from nbest.orchestrator.types import Message

SWITCH = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
)
CHAT = (Message(role="user", content="hi"),)


class Tokenizer:
    """Renders its own template, or the one that it is given, as those of models do."""

    chat_template = SWITCH

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [ord(c) for c in text]

    def apply_chat_template(
        self, turns: list[dict[str, str]], *, chat_template: str | None = None, **given: Any
    ) -> str:
        from jinja2 import Template

        return Template(chat_template or self.chat_template).render(messages=turns, **given)


def rendered(chat: ChatFormat, thinking: Thinking | None = None) -> str:
    ids = chat.token_ids(Tokenizer(), CHAT, thinking)  # type: ignore[arg-type]
    return "".join(map(chr, ids))


def test_arguments_reach_the_template() -> None:
    assert rendered(ChatFormat()) == "<user>hi"
    assert rendered(ChatFormat(arguments={"enable_thinking": False})) == "<user>hi<think></think>"


def test_thinking_is_switched_by_the_name_that_the_template_has() -> None:
    assert rendered(ChatFormat(), Thinking(enabled=True)) == "<user>hi"
    assert rendered(ChatFormat(), Thinking(enabled=False)) == "<user>hi<think></think>"
    against = ChatFormat(arguments={"enable_thinking": True})  # what a request wants goes first
    assert rendered(against, Thinking(enabled=False)) == "<user>hi<think></think>"
    other = ChatFormat(template="{{ messages[0].content }} {{ thinking }} {{ reasoning_effort }}")
    assert rendered(other, Thinking(enabled=False)) == "hi False "
    assert rendered(other, Thinking(enabled=True, effort="low")) == "hi True low"
    assert rendered(ChatFormat(), Thinking(budget=5)) == "<user>hi"  # the engine's own


@pytest.mark.parametrize(
    ("thinking", "template", "what"),
    [
        (
            Thinking(enabled=True),
            "{{ messages }}",
            "on or off .* reads enable_thinking or thinking",
        ),
        (Thinking(effort="low"), SWITCH, "an effort .* reads reasoning_effort"),
    ],
)
def test_a_switch_that_the_template_does_not_have_is_refused(
    thinking: Thinking, template: str, what: str
) -> None:
    with pytest.raises(RequestRejected, match=what):
        rendered(ChatFormat(template=template), thinking)


@pytest.mark.parametrize("tag", ["{% generation %}", "{%- generation -%}", "{%generation%}"])
def test_the_tag_of_what_is_said_is_read_over(tag: str) -> None:
    template = SWITCH + tag + "x" + tag.replace("generation", "endgeneration")
    assert "enable_thinking" in variables_of(template)


def test_a_raw_prompt_cannot_be_switched() -> None:
    chat = ChatFormat()
    with pytest.raises(RequestRejected, match="needs a chat"):
        chat.token_ids(Tokenizer(), "raw", Thinking(enabled=False))  # type: ignore[arg-type]
    ids = chat.token_ids(Tokenizer(), "raw", Thinking(budget=3))  # type: ignore[arg-type]
    assert ids == tuple(map(ord, "raw"))


def test_another_template_takes_the_place_of_the_models_own() -> None:
    assert rendered(ChatFormat(template="{{ messages[0].content }}!")) == "hi!"


def test_a_raw_prompt_is_no_chat() -> None:
    ids = ChatFormat(template="{{ 1 }}").token_ids(Tokenizer(), "raw")  # type: ignore[arg-type]
    assert ids == tuple(map(ord, "raw"))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("enable_thinkin", "did you mean 'enable_thinking'"), ("effort", "it reads enable_thinking")],
)
def test_an_argument_that_the_template_does_not_read_is_refused(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=f"template reads no '{name}'; {hint}"):
        ChatFormat(arguments={name: True}).check(Tokenizer())  # type: ignore[arg-type]
    ChatFormat(arguments={"enable_thinking": True}).check(Tokenizer())  # type: ignore[arg-type]


def test_a_template_is_a_text_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").write_text(SWITCH)
    of_file = VLLM("m", chat_template=str(tmp_path / "chat.jinja"))
    assert of_file == VLLM("m", chat_template=SWITCH)
    assert (
        of_file.identity["chat_template"]
        == VLLM("m", chat_template=SWITCH).identity["chat_template"]
    )
    with pytest.raises(InputError, match="chat_template must be a Jinja template, or a file"):
        VLLM("m", chat_template=str(tmp_path / "none.jinja"))
    with pytest.raises(InputError, match="chat_template must be a Jinja template, line 1"):
        VLLM("m", chat_template="{% if %}")


def test_both_make_another_run() -> None:
    plain = VLLM("m").identity
    assert "chat_template" not in plain
    others = [
        VLLM("m", chat_template="{{ messages }}"),
        VLLM("m", chat_template="{{ messages }}!"),
        VLLM("m", chat_template_kwargs={"enable_thinking": False}),
        VLLM("m", chat_template_kwargs={"enable_thinking": True}),
    ]
    identities = [plain, *(other.identity for other in others)]
    assert all(one != two for i, one in enumerate(identities) for two in identities[:i])


def test_tags_of_transformers_are_no_mistake() -> None:
    text = (
        "{% generation %}{{ x }}{% endgeneration %}{% for m in messages %}{% break %}{% endfor %}"
    )
    assert variables_of(text) == {"x", "messages"}


QWEN = (
    "{% for m in messages %}<{{ m.role }}>"
    "{% if m.role == 'assistant' and loop.last %}<think></think>{% endif %}"
    "{{ m.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def rated(template: str, prompt: str | tuple[Message, ...], response: str) -> tuple[str, str]:
    chat = ChatFormat(template=template)
    before, after = chat.rating_ids(Tokenizer(), prompt, response)  # type: ignore[arg-type]
    return "".join(map(chr, before)), "".join(map(chr, after))


def test_a_response_is_rated_where_the_template_puts_an_answer() -> None:
    """What the template writes before it, and what ends the turn, is not of the response."""
    assert rated(QWEN, CHAT, "7") == ("<user>hi<end><assistant><think></think>", "7")
    assert rated(QWEN, CHAT, "hi") == ("<user>hi<end><assistant><think></think>", "hi")
    assert rated(QWEN, CHAT, "") == ("<user>hi<end><assistant><think></think>", "")
    for part_of_a_tag in ("end", "e", "think", ">", "\n", "user"):
        before, after = rated(QWEN, CHAT, part_of_a_tag)
        assert (before, after) == ("<user>hi<end><assistant><think></think>", part_of_a_tag)
    assert rated(QWEN, "A:", " 42") == ("A:", " 42")
    strips = QWEN.replace("{{ m.content }}", "{{ m.content | trim }}")
    assert rated(strips, CHAT, " 7 ") == ("<user>hi<end><assistant>", " 7 ")


class Pairs(Tokenizer):
    """Makes one token of two characters, from the start on, as real tokenizers merge some."""

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [ord(a) * 1000 + ord(b) for a, b in zip(text[::2], text[1::2] + " ", strict=False)]


def test_the_tokens_are_those_of_the_whole_text_where_it_begins_with_the_prompts() -> None:
    chat = ChatFormat()
    before, after = chat.rating_ids(Pairs(), "AB", "CDE")  # type: ignore[arg-type]
    assert (*before, *after) == tuple(Pairs().encode("ABCDE"))
    before, after = chat.rating_ids(Pairs(), "ABC", "DE")  # type: ignore[arg-type]
    assert before == tuple(Pairs().encode("ABC"))  # the prompt stays as it was drawn from
    assert after == tuple(Pairs().encode("DE"))
