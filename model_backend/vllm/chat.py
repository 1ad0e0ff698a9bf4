"""Chats as the text that a model was trained on: its template, and the arguments of that."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbest.orchestrator.errors import InputError, RequestRejected
from nbest.orchestrator.requirements import did_you_mean
from nbest.orchestrator.sampling_params import Thinking
from nbest.orchestrator.types import Message

if TYPE_CHECKING:
    from vllm.tokenizers import TokenizerLike

# What templates call the switch of their thinking (Qwen and others, DeepSeek), and how hard it is.
SWITCHES = ("enable_thinking", "thinking")
EFFORT = "reasoning_effort"

# A text that no template holds and none changes: it marks where the assistant's turn is put.
PLACE = "0f1e2d3c4b5a6978"

MOST_BYTES = 2**20  # of a file with a template: one is a few kB

# What every renderer gives a template, whether it asks for it or not.
_GIVEN = {"messages", "add_generation_prompt", "tools", "documents", "bos_token", "eos_token"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatFormat:
    """How a chat becomes a text.

    Example: `ChatFormat(arguments={"enable_thinking": False})`
    """

    template: str | None = None  # Jinja; None: the model's own
    arguments: Mapping[str, Any] = field(default_factory=dict)  # of the template

    @property
    def identity(self) -> dict[str, str]:
        """What of it decides what samples say; nothing where nothing is set."""
        identity = {}
        if self.template is not None:
            digest = hashlib.sha256(self.template.encode()).hexdigest()[:16]
            identity["chat_template"] = digest
        if self.arguments:
            arguments = json.dumps(dict(self.arguments), sort_keys=True, default=str)
            identity["chat_template_kwargs"] = arguments
        return identity

    def token_ids(
        self,
        tokenizer: TokenizerLike,
        prompt: str | tuple[Message, ...],
        thinking: Thinking | None = None,
    ) -> tuple[int, ...]:
        """The token ids of a raw prompt, or of a chat in the model's template.

        RequestRejected where the template has no switch for the thinking that is wanted.
        """
        if isinstance(prompt, str):
            thinking_arguments(thinking, "")
            return tuple(tokenizer.encode(prompt))
        arguments = self.arguments_for(tokenizer, thinking)
        text = self._render(tokenizer, prompt, is_open=True, arguments=arguments)
        # The template has written the special tokens itself.
        return tuple(tokenizer.encode(text, add_special_tokens=False))

    def arguments_for(
        self, tokenizer: TokenizerLike, thinking: Thinking | None = None
    ) -> dict[str, Any]:
        """The arguments of the template; what the thinking says goes first."""
        switched = thinking_arguments(thinking, self._template_of(tokenizer))
        return dict(self.arguments) | switched

    def rating_ids(
        self, tokenizer: TokenizerLike, prompt: str | tuple[Message, ...], response: str
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The token ids of what stands before a response, and those of the response.

        In a chat it is the assistant's turn, as the template writes one: what it puts before an
        answer, as an empty thought, is not of the response.
        """
        is_raw = isinstance(prompt, str)
        before = prompt if isinstance(prompt, str) else self._before(tokenizer, prompt, response)
        ids = tuple(tokenizer.encode(before, add_special_tokens=is_raw))
        joint = tuple(tokenizer.encode(before + response, add_special_tokens=is_raw))
        if joint[: len(ids)] == ids:
            return ids, joint[len(ids) :]
        # The last token of what stands before would grow into the response.
        return ids, tuple(tokenizer.encode(response, add_special_tokens=False))

    def _before(self, tokenizer: TokenizerLike, turns: tuple[Message, ...], response: str) -> str:
        """What a template writes before the assistant's turn that says the response."""

        def answered(text: str) -> str:
            turn = Message(role="assistant", content=text)
            return self._render(tokenizer, (*turns, turn), is_open=False)

        # A response may also stand in the question, or in the tag that ends a turn.
        before, is_there, _ = answered(PLACE).rpartition(PLACE)
        if is_there and answered(response).startswith(before + response):
            return before
        return self._render(tokenizer, turns, is_open=True)

    def _render(
        self,
        tokenizer: TokenizerLike,
        turns: Sequence[Message],
        *,
        is_open: bool,  # for a further turn of the assistant
        arguments: Mapping[str, Any] | None = None,
    ) -> str:
        more = {} if self.template is None else {"chat_template": self.template}
        text: str = tokenizer.apply_chat_template(
            [{"role": turn.role, "content": turn.content} for turn in turns],
            tokenize=False,
            add_generation_prompt=is_open,
            **more,
            **(self.arguments if arguments is None else arguments),
        )
        return text

    def check(self, tokenizer: TokenizerLike) -> None:
        """Raise InputError for an argument that the template does not read: it would do nothing."""
        template = self._template_of(tokenizer)
        if not self.arguments or template is None:
            return
        known = variables_of(template)
        for name in self.arguments:
            if name not in known:
                its_own = ", ".join(sorted(known - _GIVEN)) or "none"
                hint = did_you_mean(name, known) or f"; it reads {its_own}"
                raise InputError(
                    f"chat_template_kwargs: the model's template reads no {name!r}{hint}"
                )

    def _template_of(self, tokenizer: TokenizerLike) -> str | None:
        """The template; None where the model has none, or several."""
        own = getattr(tokenizer, "chat_template", None)
        template = own if self.template is None else self.template
        return template if isinstance(template, str) else None


def thinking_arguments(thinking: Thinking | None, template: str | None) -> dict[str, bool | str]:
    """What tells a template to think, not to think, or how hard.

    RequestRejected where it reads no such argument: it would be ignored. A raw prompt has the empty
    template; None stands for one that cannot be read.
    """
    if thinking is None:
        return {}
    known = set() if template is None else _known_to(template)
    arguments: dict[str, bool | str] = {}
    if thinking.enabled is not None:
        switches = [name for name in SWITCHES if name in known]
        if not switches:
            raise RequestRejected(_unread("on or off", SWITCHES))
        arguments[switches[0]] = thinking.enabled
    if thinking.effort is not None:
        if EFFORT not in known:
            raise RequestRejected(_unread("an effort", (EFFORT,)))
        arguments[EFFORT] = thinking.effort
    return arguments


def _unread(what: str, names: Sequence[str]) -> str:
    return f"thinking: {what} needs a chat whose template reads {' or '.join(names)}"


@lru_cache(maxsize=16)
def _known_to(template: str) -> frozenset[str]:
    return frozenset(variables_of(template))


def variables_of(template: str) -> set[str]:
    """The names that a template expects to be given."""
    from jinja2 import Environment, TemplateSyntaxError, meta

    environment = Environment(
        extensions=["jinja2.ext.loopcontrols"], trim_blocks=True, lstrip_blocks=True
    )
    # Transformers' own tag: it marks what the assistant says, and changes no text.
    plain = re.sub(r"\{%[-+]?\s*(end)?generation\s*[-+]?%\}", "", template)
    try:
        return meta.find_undeclared_variables(environment.parse(plain))
    except TemplateSyntaxError as error:
        rule = f"be a Jinja template, line {error.lineno}: {error.message}"
        raise InputError(f"chat_template must {rule}") from error


def read_template(text_or_path: str) -> str:
    """A template that is given as a text, or as the file that holds it."""
    if "{{" in text_or_path or "{%" in text_or_path:
        variables_of(text_or_path)  # says what is wrong
        return text_or_path
    try:
        path = Path(text_or_path)
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            raise OSError("no file, or a large one")
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        rule = f"be a Jinja template, or a file that holds one ({type(error).__name__})"
        raise InputError(f"chat_template must {rule}, got {text_or_path!r}") from error
    variables_of(text)
    return text
