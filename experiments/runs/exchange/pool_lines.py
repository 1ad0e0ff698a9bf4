"""Reads pools of samples from elsewhere: one JSON object a line, one line a question.

    {"id": "q0", "gold": "33", "prompt": "...", "samples": [{"answer": "33", "tokens": 2141}]}

A sample has a `text` or an `answer`; `answer: null` says that it holds none. All else is optional:
what it cost, how it ended, its log-probabilities, and `scores` by the name of a scorer. So are the
`gold` and `prompt` of a line. A chat is a list of `messages` in the place of the prompt; `meta` is
what selectors and graders may read besides, as the tests of a program; `cluster` names the template
that the question comes from, as `dataset.cluster` does; `strategy` says how the samples were drawn,
as in a config. It knows no run directory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from nbest.experiments.language.errors import describe
from nbest.experiments.language.text import shown
from nbest.experiments.runs.exchange.foreign.detect import OURS, foreign_rows, format_of
from nbest.experiments.runs.exchange.foreign.rows import Placed, Row, json_rows
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.reasoning import with_thought_apart
from nbest.orchestrator.requirements import is_unicode
from nbest.orchestrator.store.format.parquet import valid_unicode
from nbest.orchestrator.types import Message, Sample, Status, TopLogprobs

# What servers call the end of a sample, in small letters. A word that is not here is refused: a
# sample that was cut off, or withheld, must not vote.
STATUS_OF_FINISH: Mapping[str, Status] = {
    **dict.fromkeys(("", "stop", "eos", "eos_token", "end_turn", "stop_sequence"), Status.OK),
    **dict.fromkeys(("tool_calls", "function_call", "tool_use"), Status.OK),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens"), Status.TRUNCATED),
    **dict.fromkeys(("model_length", "model_context_window_exceeded"), Status.TRUNCATED),
    **dict.fromkeys(("abort", "aborted", "cancelled", "canceled"), Status.CANCELLED),
    **dict.fromkeys(("error", "content_filter", "safety", "recitation", "refusal"), Status.ERROR),
    **dict.fromkeys(("blocklist", "prohibited_content", "spii", "language"), Status.ERROR),
    **dict.fromkeys(("malformed_function_call", "other", "unknown"), Status.ERROR),
}

MAX_LOGPROB = 1e-6  # rounding may leave a little more than nothing


def _as_text(value: object) -> object:
    """A number as text, as datasets take it; all else as it is."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


Text = Annotated[str, BeforeValidator(_as_text)]


Number = TypeVar("Number", float, str)
Rows = tuple[Annotated[tuple[Number, ...], Field(strict=False)], ...]


class PoolSample(BaseModel):
    """One sample of a line."""

    model_config = ConfigDict(extra="forbid", strict=True)

    answer: Text | None = None
    text: str | None = None
    # What the model thought before; servers have either name for it.
    reasoning: str | None = Field(
        default=None, validation_alias=AliasChoices("reasoning", "reasoning_content")
    )
    arm: str = ""  # which of several ways to draw has drawn it
    tokens: int = Field(default=0, ge=0)
    logprobs: tuple[float, ...] | None = Field(default=None, strict=False)
    top_logprobs: Rows[float] | None = Field(default=None, strict=False)  # [T, k] likeliest first
    top_tokens: Rows[str] | None = Field(default=None, strict=False)  # [T, k] their texts
    prompt_tokens: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)  # from request to end
    finish_reason: str | None = None
    scores: dict[str, float | None] = Field(default_factory=dict)

    @field_validator("finish_reason")
    @classmethod
    def _is_known(cls, word: str | None) -> str | None:
        if (word or "").lower() not in STATUS_OF_FINISH:
            known = ", ".join(filter(None, STATUS_OF_FINISH))
            raise InputError(f"finish_reason must be null or one of {known}, got {shown(word)}")
        return word

    @field_validator("logprobs")
    @classmethod
    def _are_logprobs(cls, values: tuple[float, ...] | None) -> tuple[float, ...] | None:
        wrong = [v for v in values or () if not -math.inf < v <= MAX_LOGPROB]
        if wrong:
            raise InputError(f"logprobs must be finite and at most 0, got {wrong[0]!r}")
        return values

    @field_validator("scores")
    @classmethod
    def _are_scores(cls, scores: dict[str, float | None]) -> dict[str, float | None]:
        for name, score in scores.items():
            if score is not None and math.isinf(score):
                rule = "be finite, or null or NaN for none"
                raise InputError(f"scores must {rule}, got {score!r} for {shown(name)}")
        return scores

    @model_validator(mode="after")
    def _agree(self) -> PoolSample:
        if self.tokens and self.logprobs is not None and len(self.logprobs) != self.tokens:
            rule = f"be one a token, {self.tokens}"
            raise InputError(f"logprobs must {rule}, got {len(self.logprobs)}")
        self._require_one_shape()
        return self

    def _require_one_shape(self) -> None:
        """Raise InputError unless the likeliest tokens are a table of one row a token."""
        rows = self.top_logprobs
        if rows is None:
            if self.top_tokens is not None:
                raise InputError("top_tokens must be left out without top_logprobs")
            return
        if self.logprobs is None:
            raise InputError("top_logprobs must come with logprobs, got none")
        tokens = len(self.logprobs)
        if len(rows) != tokens or len({len(row) for row in rows}) > 1 or (rows and not rows[0]):
            rule = f"be one list a token, {tokens}, all of the same length"
            raise InputError(f"top_logprobs must {rule}, got lists of {[*map(len, rows)][:9]}")
        wrong = [v for row in rows for v in row if not v <= MAX_LOGPROB]
        if wrong:
            raise InputError(f"top_logprobs must be at most 0, got {wrong[0]!r}")
        if self.top_tokens and [*map(len, self.top_tokens)] != [*map(len, rows)]:
            raise InputError("top_tokens must have the shape of top_logprobs, got another one")

    def _top(self) -> TopLogprobs | None:
        if not self.top_logprobs:
            return None
        packed = np.array(self.top_logprobs, np.float32).tobytes()
        texts = tuple(valid_unicode(text) for row in self.top_tokens or () for text in row)
        return TopLogprobs(k=len(self.top_logprobs[0]), packed=packed, texts=texts)

    def sample(self, id_: str) -> Sample:
        """The sample that a store keeps; its text is the answer where it has no text."""
        content = self.answer if "answer" in self.model_fields_set else self.text
        has_answer = content is not None
        word = (self.finish_reason or "").lower()
        ended = STATUS_OF_FINISH[word]
        status = Status.UNPARSEABLE if ended is Status.OK and not has_answer else ended
        sample = Sample(
            id=id_,
            text=valid_unicode(self.text if self.text is not None else self.answer or ""),
            reasoning=valid_unicode(self.reasoning or ""),
            arm=valid_unicode(self.arm),
            logprobs=self.logprobs,
            top_logprobs=self._top(),
            status=status,
            error=f"it ended with {word} where it was made" if status is Status.ERROR else "",
            generated_tokens=self.tokens or len(self.logprobs or ()),
            prompt_tokens=self.prompt_tokens,
            total_s=self.seconds,
        )
        return with_thought_apart(sample)


class PoolMessage(BaseModel):
    """One turn of a chat that was the prompt."""

    model_config = ConfigDict(extra="forbid", strict=True)

    role: Literal["system", "user", "assistant"]
    content: str


class PoolLine(BaseModel):
    """One question with its samples; there may be none, where all have failed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Text = Field(min_length=1)
    gold: Text | None = None
    prompt: str = ""
    messages: tuple[PoolMessage, ...] | None = Field(default=None, strict=False)
    meta: dict[str, JsonValue] = Field(default_factory=dict)  # of the question
    cluster: Text | None = None  # the template that the question comes from
    strategy: dict[str, JsonValue] = Field(default_factory=dict)  # how they were drawn
    samples: tuple[PoolSample, ...] = Field(strict=False)

    @model_validator(mode="after")
    def _has_one_prompt(self) -> PoolLine:
        if self.prompt and self.messages is not None:
            raise InputError("messages must be left out where there is a prompt")
        return self

    @field_validator("gold")
    @classmethod
    def _is_no_blank(cls, text: str | None) -> str | None:
        """A blank answer says that nobody knows one, as in a data set."""
        return text if text and text.strip() else None

    @field_validator("id", "gold", "prompt", "cluster")
    @classmethod
    def _is_storable(cls, text: str | None) -> str | None:
        if text is not None and not is_unicode(text):
            raise InputError(f"it must be valid Unicode, got {shown(text)}")
        return text


def prompt_of(line: PoolLine) -> str | tuple[Message, ...]:
    """The prompt: a chat where the line holds messages."""
    if line.messages is None:
        return line.prompt
    return tuple(Message(role=turn.role, content=turn.content) for turn in line.messages)


def read_pool(files: Sequence[Path]) -> Iterator[PoolLine]:
    """Yield the lines of all files, our own or another program's.

    InputError names the file, line and key of a mistake.
    """
    seen: dict[str, str] = {}
    for where, row in _rows(files):
        line = _line(row, where)
        if line.id in seen:
            raise InputError(f"{where}: id must be new, got {line.id!r} of {seen[line.id]}")
        seen[line.id] = where
        yield line


def _rows(files: Sequence[Path]) -> Iterator[Placed]:
    kind = format_of(files) if files else OURS
    if kind != OURS:
        yield from foreign_rows(kind, files)
        return
    for file in files:
        yield from json_rows(file)


def _line(row: Row, where: str) -> PoolLine:
    try:
        return PoolLine.model_validate(row)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        if detail["type"] == "extra_forbidden":
            key = ".".join(map(str, detail["loc"]))
            raise InputError(f"{where}: {key}: no such key (docs/pools.md has examples)") from error
        raise InputError(f"{where}: {describe(detail, row)[1]}") from error
