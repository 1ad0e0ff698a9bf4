"""The values that every folder shares; the protocols between them are in `protocols.py`.

Axis letters, used as suffixes and in shapes everywhere: N samples of one query, T generated tokens,
Q queries, A distinct answers. Times are in seconds and end in `_s`; a count of tokens ends in
`_tokens`.

This module knows no model, no scorer, no Ray, no clock and no file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.requirements import is_unicode, require
from nbest.orchestrator.sampling_params import SamplingParams

Scores = NDArray[np.float64]
"""[N] one number a candidate; higher is better; nan where the scorer cannot say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question. It never holds the gold answer: what a model or a scorer can see, it can leak.

    Example: `Query(id="q17", prompt="Q: 3 + 4 =\\nA:")`
    """

    id: str
    prompt: str | tuple[Message, ...]  # raw text, or a chat that the model's own template renders
    meta: Mapping[str, Any] = field(default_factory=dict)  # the data set's own; nbest ignores it
    # The prompts of arms that have another one, by the name of the variant.
    variants: Mapping[str, str | tuple[Message, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.variants:
            for name, prompt in self.variants.items():
                Query(id=f"{self.id} ({name})", prompt=prompt)  # the same rules
        is_plain = isinstance(self.id, str) and bool(self.id) and isinstance(self.prompt, str)
        if is_plain and is_unicode(f"{self.id}{self.prompt}"):
            return  # nearly all are like this, and a run may have a hundred thousand
        is_id = isinstance(self.id, str) and bool(self.id) and is_unicode(self.id)
        require(is_id, "query id", "be text that is not empty, and valid Unicode", self.id)
        turns = self.prompt if isinstance(self.prompt, tuple) else ()
        is_chat = isinstance(self.prompt, tuple) and all(isinstance(t, Message) for t in turns)
        rule = "be text or a tuple of Messages"
        fits = isinstance(self.prompt, str) or is_chat
        require(fits, f"prompt of query {self.id!r}", rule, self.prompt)
        texts = [self.prompt] if isinstance(self.prompt, str) else [turn.content for turn in turns]
        holds = all(map(is_unicode, texts))
        require(holds, f"query {self.id!r}", "be valid Unicode", self.prompt)


Prefix = tuple[int | str, ...]
"""What an answer begins with: token ids that were generated before, and texts put between them."""

Prompt = str | tuple[Message, ...]
"""Raw text, or a chat that the model's own template renders."""

Path = tuple[int, ...]
"""A node of a search: the numbers of the children from the root down to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Exactly one generation; or, with a `response`, the rating of that response to the prompt."""

    id: str  # a path, `RUN/QUERY/sINDEX`, as `ids.py` makes it: in logs and in the engine
    prompt: str | tuple[Message, ...]
    params: SamplingParams
    seed: int | None  # None leaves the choice to the engine
    affinity: str = ""  # equal affinity, shared prompt prefix: a pool may keep those together
    response: str | None = None  # which is rated; then nothing is generated
    # What the answer begins with, where a step of it is asked for; None: the whole answer is. The
    # text of a step is what comes after, and no thought is taken out of it.
    prefix: Prefix | None = None


class Status(StrEnum):
    """How a sample ended. Only `OK` may be voted for."""

    OK = "ok"
    TRUNCATED = "truncated"  # it ran into max_tokens or the model's length
    UNPARSEABLE = "unparseable"  # whoever made it says that it holds no answer
    ERROR = "error"  # the engine failed or refused; `Sample.error` says why
    CANCELLED = "cancelled"  # aborted; what it had cost is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class TopLogprobs:
    """The k likeliest tokens at each position, likeliest first.

    They are packed: as tuples of floats they would take ten times the room of all else in a sample.
    """

    k: int
    packed: bytes  # [T, k] float32, row after row: nats, before temperature
    texts: tuple[str, ...] = ()  # [T * k] the tokens; only where `token_texts` asked for them

    def array(self) -> NDArray[np.float32]:
        """[T, k] nats; it cannot be written to."""
        return np.frombuffer(self.packed, np.float32).reshape(-1, self.k)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One finished generation, with what it cost.

    The sample of a rating has generated nothing: its text is a JSON list of numbers, one of an
    outcome model, [S] of a process model and a response of S steps, [T] log-probabilities of a
    generating model and a response of T tokens.
    """

    id: str  # a path, `RUN/QUERY/sINDEX`: that of its request
    text: str  # what it says; without what the model thought before
    reasoning: str = ""  # what the model thought
    token_ids: tuple[int, ...] = ()  # [T] of both
    logprobs: tuple[float, ...] | None = None  # [T] nats, of each sampled token, before temperature
    top_logprobs: TopLogprobs | None = None  # where `logprobs` was at least 1
    status: Status = Status.OK
    stop: str = ""  # the stop string or token id that ended it, where the engine says so
    error: str = ""  # one line, when status is ERROR
    prompt_tokens: int = 0
    cached_tokens: int = 0  # of prompt_tokens, how many the engine had in its prefix cache
    generated_tokens: int = 0
    reasoning_tokens: int = 0  # of generated_tokens, those of the thought
    first_token_s: float = 0.0  # from request to first token, waiting included
    total_s: float = 0.0  # from request to end
    engine: str = ""  # which engine made it
    arm: str = ""  # which arm of a panel drew it


Ask = Callable[[str, str | tuple[Message, ...], SamplingParams], Awaitable[Sample]]
"""Puts a question about the candidates to the model that made them: name of the asker, prompt,
parameters. The same call again gives the same sample; a failure is a sample with status ERROR."""

Identity = Mapping[str, str | int | None]
"""The settings of a model that decide what it says."""

AskModel = Callable[[Identity], Ask]
"""Gives the `Ask` of another model of the run, by the settings that it has."""

Rate = Callable[[Identity, Sequence[str]], Awaitable[tuple[Sample, ...]]]
"""Has a model of the run rate responses to the question: which model, and the responses [D].

One sample a response, in their order. The same response again gives the same sample; a failure is a
sample with status ERROR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The samples of one query, and the answer that an extractor read in each: a scorer's input.

    `answers[i]` is None where there is nothing to vote for: the sample is not `OK`, or no answer
    was found in it.
    """

    samples: tuple[Sample, ...]  # [N]
    answers: tuple[str | None, ...]  # [N]
    ask: Ask | None = None  # for a scorer that asks a model; None where there is no model
    ask_model: AskModel | None = None  # for a scorer that asks another model than that
    rate: Rate | None = None  # for a scorer that has responses rated
    scores: Mapping[str, Scores] = field(default_factory=dict)  # [N] numbers that came with them

    def __post_init__(self) -> None:
        assert len(self.samples) == len(self.answers)

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """An answer that is put together from several."""

    answer: str
    fields: Mapping[str, float]  # of each part, by its path, the share of the answers that agree


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a strategy chose among the samples that it drew."""

    index: int | None  # of the chosen sample; None: abstained, or the answer is no single sample's
    answer: str | None  # None: abstained
    samples: tuple[Sample, ...]  # [N] all that were drawn, losers and cancelled ones included
    scores: Scores  # [N]
    confidence: float  # share of the answers that agree with the best one; nan if there is none
    pruned_tokens: int = 0  # of a search: generated on no chain that came to its end
    fields: Mapping[str, float] = field(default_factory=dict)  # of a composed answer: see Composed


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was spent: sums over samples, whatever became of them."""

    samples: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    cancelled_tokens: int = 0  # of generated_tokens, those of cancelled samples
    scorer_tokens: int = 0  # of all these, those that models read and wrote for scorers
    pruned_tokens: int = 0  # of generated_tokens, those on no chain of a search that ended

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            samples=self.samples + other.samples,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            generated_tokens=self.generated_tokens + other.generated_tokens,
            cancelled_tokens=self.cancelled_tokens + other.cancelled_tokens,
            scorer_tokens=self.scorer_tokens + other.scorer_tokens,
            pruned_tokens=self.pruned_tokens + other.pruned_tokens,
        )


class Outcome(StrEnum):
    """How a query ended: exactly one of these."""

    ANSWERED = "answered"
    ABSTAINED = "abstained"
    ERROR = "error"
    QUARANTINED = "quarantined"  # it killed its engine or its worker again and again
    OUT_OF_BUDGET = "out_of_budget"  # the batch had spent all before its first sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The result of one query and what it cost. What `run` returns has the `selection`, too."""

    query_id: str
    strategy: str  # repr of the strategy: a frozen dataclass shows all that it was set to
    outcome: Outcome
    index: int | None = None
    answer: str | None = None
    confidence: float = float("nan")
    error: str = ""
    usage: Usage = Usage()
    seconds: float = 0.0
    selection: Selection | None = field(default=None, repr=False, compare=False)


def model_key(identity: Identity) -> str:
    """16 hexadecimal digits of the settings that decide what a model says.

    A model in a folder is known by the digest of what the folder holds, however its path is spelt.
    """
    settings = dict(identity)
    if settings.get("digest"):
        settings.pop("model", None)
    return digest_of(settings)


def digest_of(settings: Identity) -> str:
    """16 hexadecimal digits of settings, whatever their order."""
    text = json.dumps(dict(settings), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
