"""Thought and answer of a vLLM sample, told apart by tags or by a reasoning parser of vLLM."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Protocol

from nbest.model_backend.vllm.chat import SWITCHES, ChatFormat
from nbest.model_backend.vllm.engine_options import installed_source
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.reasoning import Tags, tags_of, with_thought_apart
from nbest.orchestrator.requirements import did_you_mean
from nbest.orchestrator.sampling_params import Thinking
from nbest.orchestrator.types import Sample, Status

if TYPE_CHECKING:
    from vllm.tokenizers import TokenizerLike

TAGS, NONE = "tags", "none"

Parting = Callable[[Sample, Thinking | None], Sample]
"""Puts the thought of a sample into its `reasoning`, of one that was told how to think."""


class ReasoningParser(Protocol):
    """What is used of vLLM's parsers."""

    def extract_reasoning(
        self, model_output: str, request: object
    ) -> tuple[str | None, str | None]:
        """The thought and the answer in a text."""
        ...

    def count_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """How many tokens are of the thought."""
        ...


def is_parser(name: str) -> bool:
    """Whether the name is that of a parser of vLLM."""
    return name not in (TAGS, NONE) and tags_of(name) is None


def require_parser(name: str) -> None:
    """Raise InputError unless the installed vLLM has the parser; without vLLM all names pass."""
    known = parser_names()
    if is_parser(name) and known and name not in known:
        hint = did_you_mean(name, known) or f"; they are {', '.join(sorted(known))}"
        rule = 'be tags, none, two tags as "<plan> </plan>" or a reasoning parser of vLLM'
        raise InputError(f"reasoning must {rule}, got {name!r}{hint}")


@cache
def parser_names() -> frozenset[str]:
    """The names of vLLM's own parsers, read in its source; none where it is not installed."""
    for node in ast.walk(installed_source("reasoning", "__init__.py")):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            keys = node.value.keys
            return frozenset(str(key.value) for key in keys if isinstance(key, ast.Constant))
    return frozenset()


def by_tags(
    sample: Sample, thinking: Thinking | None = None, *, tags: Tags | None = None
) -> Sample:
    """The sample, parted at the tags of the families that are known, and at the model's own."""
    return with_thought_apart(sample, tags)


def parting(name: str, tokenizer: TokenizerLike, chat: ChatFormat = ChatFormat()) -> Parting:  # noqa: B008 # frozen
    """What tells the thoughts of a model apart.

    A parser takes all for a thought that has not ended, unless it is told that there is none; so it
    is told what the template was. Where that switches thinking off, tags alone part.
    """
    if name == NONE:
        return lambda sample, thinking: sample
    if not is_parser(name):
        return partial(by_tags, tags=tags_of(name))
    from vllm.reasoning import ReasoningParserManager

    make = ReasoningParserManager.get_reasoning_parser(name)

    @cache
    def parser_for(thinking: Thinking | None) -> ReasoningParser | None:
        arguments = chat.arguments_for(tokenizer, thinking)
        is_off = any(arguments.get(switch) is False for switch in SWITCHES)
        return None if is_off else make(tokenizer, chat_template_kwargs=arguments)

    def part(sample: Sample, thinking: Thinking | None) -> Sample:
        parser = parser_for(thinking)
        return by_tags(sample) if parser is None else parted_by(parser, tokenizer, sample)

    return part


def parted_by(parser: ReasoningParser, tokenizer: TokenizerLike, sample: Sample) -> Sample:
    """The sample, parted by a parser.

    It reads the text with special tokens, which may be what stands between thought and answer.
    Where there is no answer, the thought was not ended.
    """
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

    request = ChatCompletionRequest(messages=[], model="")
    special = set(tokenizer.all_special_ids)
    ids = list(sample.token_ids)
    while ids and ids[-1] in special:  # the end of the text
        ids.pop()
    whole = tokenizer.decode(ids, skip_special_tokens=False)
    thought, answer = parser.extract_reasoning(whole, request)
    is_cut = sample.status is Status.OK and answer is None
    return replace(
        sample,
        text=(answer or "").lstrip("\n"),
        reasoning=(thought or "").strip(),
        reasoning_tokens=parser.count_reasoning_tokens(sample.token_ids),
        status=Status.TRUNCATED if is_cut else sample.status,
    )
