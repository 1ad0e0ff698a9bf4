"""The nouns that every folder shares, and the protocols between them.

Axis letters, used as suffixes and in shapes everywhere: N samples of one query, T generated tokens,
Q queries, A distinct answers. Times are in seconds and end in `_s`; a count of tokens ends in
`_tokens`.

This module knows no model, no scorer, no Ray, no clock and no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import InputError

Scores = NDArray[np.float64]
"""[N] one number a candidate; higher is better; nan where the scorer cannot say."""


def require(holds: bool, key: str, rule: str, value: object) -> None:
    """Raise the one-line InputError `KEY must RULE, got VALUE` unless `holds`."""
    if not holds:
        raise InputError(f"{key} must {rule}, got {value!r}")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """What the engine forces every sample to look like; exactly one field is set.

    Example: `Constraint(choice=("yes", "no"))`
    """

    json: str | None = None  # a JSON schema, as JSON text
    regex: str | None = None
    choice: tuple[str, ...] | None = None
    grammar: str | None = None  # EBNF, in the dialect of the engine

    def __post_init__(self) -> None:
        kinds = [k for k in ("json", "regex", "choice", "grammar") if getattr(self, k) is not None]
        rule = "set exactly one of json, regex, choice, grammar"
        require(len(kinds) == 1, "constraint", rule, kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How one sample is drawn, under the names that vLLM and the OpenAI API use.

    Example: `SamplingParams(temperature=0.8, max_tokens=64, stop=("\\n",))`
    """

    temperature: float = 1.0  # 0 is greedy
    top_p: float = 1.0
    top_k: int = 0  # 0 keeps every token
    min_p: float = 0.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    logprobs: int | None = None  # None: none; 0: of the sampled tokens; k: and the top k
    constraint: Constraint | None = None

    def __post_init__(self) -> None:
        require(0.0 <= self.temperature <= 2.0, "temperature", "lie in [0, 2]", self.temperature)
        require(0.0 < self.top_p <= 1.0, "top_p", "lie in (0, 1]", self.top_p)
        require(self.top_k >= 0, "top_k", "be at least 0 (0 keeps every token)", self.top_k)
        require(0.0 <= self.min_p <= 1.0, "min_p", "lie in [0, 1]", self.min_p)
        require(self.max_tokens >= 1, "max_tokens", "be at least 1", self.max_tokens)
        require(all(self.stop), "stop", "hold no empty string", self.stop)
        require(0 <= (self.logprobs or 0) <= 20, "logprobs", "lie in 0..20", self.logprobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Exactly one generation."""

    id: str  # a path, `RUN/QUERY/sINDEX`: the same name in logs, in the engine and in the sample
    prompt: str | tuple[Message, ...]
    params: SamplingParams
    seed: int | None  # None leaves the choice to the engine
    affinity: str = ""  # equal affinity, shared prompt prefix: a pool may keep those together


class Status(StrEnum):
    """How a sample ended. Only `OK` may be voted for."""

    OK = "ok"
    TRUNCATED = "truncated"  # it ran into max_tokens or the model's length
    UNPARSEABLE = "unparseable"  # whoever made it says that it holds no answer
    ERROR = "error"  # the engine failed or refused; `Sample.error` says why
    CANCELLED = "cancelled"  # aborted; what it had cost is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One finished generation, with what it cost."""

    id: str  # the id of its request
    text: str
    token_ids: tuple[int, ...] = ()  # [T]
    logprobs: tuple[float, ...] | None = None  # [T] nats, of each sampled token, before temperature
    status: Status = Status.OK
    error: str = ""  # one line, when status is ERROR
    prompt_tokens: int = 0
    cached_tokens: int = 0  # of prompt_tokens, how many the engine had in its prefix cache
    generated_tokens: int = 0
    first_token_s: float = 0.0  # from request to first token, waiting included
    total_s: float = 0.0  # from request to end
    engine: str = ""  # which engine made it


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The samples of one query, and the answer that an extractor read in each: a scorer's input.

    `answers[i]` is None where there is nothing to vote for: the sample is not `OK`, or no answer
    was found in it.
    """

    samples: tuple[Sample, ...]  # [N]
    answers: tuple[str | None, ...]  # [N]

    def __post_init__(self) -> None:
        assert len(self.samples) == len(self.answers)

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a strategy chose among the samples that it drew."""

    index: int | None  # of the chosen sample; None: abstained, or the answer is no single sample's
    answer: str | None  # None: abstained
    samples: tuple[Sample, ...]  # [N] all that were drawn, losers and cancelled ones included
    scores: Scores  # [N]
    confidence: float  # share of the answers that agree with the chosen one; nan when abstained


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was spent. Sums over samples, whatever became of them."""

    samples: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    cancelled_tokens: int = 0  # of generated_tokens, those of cancelled samples

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            samples=self.samples + other.samples,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            generated_tokens=self.generated_tokens + other.generated_tokens,
            cancelled_tokens=self.cancelled_tokens + other.cancelled_tokens,
        )


class Outcome(StrEnum):
    """How a query ended: exactly one of these."""

    ANSWERED = "answered"
    ABSTAINED = "abstained"
    ERROR = "error"
    QUARANTINED = "quarantined"  # it killed its engine or its worker again and again


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line a query: what came of it and what it cost. It holds no sample; the store does."""

    query_id: str
    strategy: str  # repr of the strategy: a frozen dataclass shows all that it was set to
    outcome: Outcome
    index: int | None = None
    answer: str | None = None
    confidence: float = float("nan")
    error: str = ""
    usage: Usage = Usage()
    seconds: float = 0.0


class Backend(Protocol):
    """A live model. One request in, one sample out; as many at once as the caller likes.

    1. `generate` returns a sample whose id is the request's, after `max_tokens` tokens at the most.
    2. Its status is OK after a stop string, an end of text or a completed constraint; TRUNCATED
       after `max_tokens`. The text holds no stop string.
    3. `abort(id)` makes the pending `generate` of that id return soon, CANCELLED, with the text and
       the tokens that it had. An abort that arrives before its request wins all the same; one that
       arrives after the end does nothing.
    4. Cancelling the task that awaits `generate` raises CancelledError there and leaves nothing
       running.
    5. Failure is a BackendError: RequestRejected, Overloaded or EngineDead.
    """

    async def generate(self, request: Request) -> Sample: ...

    async def abort(self, request_id: str) -> None: ...


class BackendConfig(Protocol):
    """What a user passes for a model: settings that pickle, and start it where it is used."""

    @property
    def max_concurrency(self) -> int:
        """How many requests one live backend works on at once; more would wait inside it."""
        ...

    @property
    def gpus(self) -> int:
        """How many GPUs one live backend occupies, on machines that have any."""
        ...

    @property
    def identity(self) -> Mapping[str, str | int | None]:
        """The settings that decide what its samples are; a run with others is another run."""
        ...

    def open(self, name: str = "") -> AbstractAsyncContextManager[Backend]:
        """Start the model; samples carry `name` as their engine."""
        ...


class Extractor(Protocol):
    """Reads the answer out of a text; None where there is none. Pure; raises on no text at all."""

    def __call__(self, text: str) -> str | None: ...


class Scorer(Protocol):
    """Scores the candidates of one query. A selector is a scorer and an argmax.

    1. Returns float64 [N]: higher is better, nan where it cannot say. The order of the candidates
       does not matter: permuting them permutes the scores.
    2. A candidate whose answer is None may get any score; selection ignores it.
    3. `needs_logprobs` says that the samples must carry log-probabilities, which engines compute
       only on request.
    """

    @property
    def needs_logprobs(self) -> bool: ...

    async def __call__(self, query: Query, candidates: Candidates) -> Scores: ...


class Sampler(Protocol):
    """Draws the samples of one query. Index i is the same sample in every run with the same seed.

    1. A sample that the store holds comes back without an engine.
    2. A request that the engine refuses, or fails at, comes back as a sample with status ERROR.
    3. A sample is in the hands of the store before it is returned.
    """

    async def __call__(self, index: int, params: SamplingParams) -> Sample: ...

    async def abort(self, index: int) -> None: ...


class Strategy(Protocol):
    """Decides how many samples to draw and which answer to give.

    A frozen dataclass: its fields are its settings, and its repr is its line in the log.
    """

    async def __call__(self, query: Query, sampler: Sampler) -> Selection: ...


class SampleStore(Protocol):
    """Where samples survive. Keys are (query id, index); the first committed of a key wins."""

    def get(self, query_id: str, index: int) -> Sample | None: ...

    def add(self, query_id: str, index: int, sample: Sample) -> None: ...
