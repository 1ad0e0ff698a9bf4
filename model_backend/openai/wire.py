"""The form of what OpenAI-compatible servers reply: whole, or piece by piece.

What a server says is checked for its form alone, and for numbers that no store could keep.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

NO_LOGPROB = -9999.0  # what servers write where a probability is 0
MOST = 2**31 - 1  # tokens, and the largest token id

Count = Annotated[int, Field(ge=0, le=MOST)]


def _short(text: object) -> object:
    """A name that a server gives itself, fit to be kept with every sample."""
    return "".join(c for c in text if c.isprintable())[:80] if isinstance(text, str) else text


class Wire(BaseModel):
    """A part of a reply; what is not named here is not read."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Part(Wire):
    """One part of a content that is a list."""

    type: str = ""
    text: str | None = None


class Said(Wire):
    """A message, or a piece of one."""

    content: str | list[Part] | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None


class Likely(Wire):
    """A token and its log-probability, in nats."""

    token: str = ""
    logprob: float = NO_LOGPROB


class Position(Likely):
    """The token at one position of a chat's reply, and the likeliest there."""

    top_logprobs: list[Likely] | None = None


class Logprobs(Wire):
    """Log-probabilities: `content` in a chat, the other fields for a raw text."""

    content: list[Position] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float | None] | None] | None = None


class Choice(Wire):
    """One sample, or a piece of one."""

    index: int | None = None
    message: Said | None = None
    delta: Said | None = None
    text: str | None = None
    logprobs: Logprobs | None = None
    finish_reason: Annotated[str, BeforeValidator(_short)] | None = None
    token_ids: list[Count] | None = None


class Details(Wire):
    """Parts of a count of tokens."""

    cached_tokens: Count | None = None
    reasoning_tokens: Count | None = None


class Counts(Wire):
    """The tokens that a request has cost."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None


class Reply(Wire):
    """A whole reply, or one piece of a streamed one."""

    choices: list[Choice] | None = None
    usage: Counts | None = None
    system_fingerprint: Annotated[str, BeforeValidator(_short)] | None = None
    error: Any = None
