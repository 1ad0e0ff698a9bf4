"""The protocols between the folders: what a backend, a scorer, a strategy has to be.

Each contract is written here only; the values that they exchange are in `types.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import (
    Ask,
    AskModel,
    Candidates,
    Identity,
    Path,
    Prefix,
    Prompt,
    Query,
    Rate,
    Request,
    Sample,
    Scores,
    Selection,
    model_key,
)


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
    6. A request with a `response` has that response rated, and nothing is generated: the text of
       its sample is a JSON list of numbers, and TRUNCATED says that not all of the response was
       read. The numbers of a reward model are its rewards; it rejects requests without a response.
       Those of any other model are log-probabilities, in nats, of the response's tokens after the
       prompt; a model that cannot say them rejects the request.
    7. A request with a `prefix` asks for what comes after it: the model sees the tokens of the
       prompt, then exactly those of the prefix. A backend that cannot do that rejects the request.
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
    def gpus(self) -> float:
        """How many GPUs one live backend occupies, if there are any; below 1, its share of one."""
        ...

    @property
    def identity(self) -> Mapping[str, str | int | None]:
        """The settings that decide what its samples are; other settings make another run."""
        ...

    def open(self, name: str = "") -> AbstractAsyncContextManager[Backend]:
        """Start the model; samples carry `name` as their engine."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModel:
    """A model of a run besides the one that all have, by the name that its engines and bill show.

    Example: `NamedModel(name="large", settings=VLLM("Qwen/Qwen3-8B"))`
    """

    name: str
    # What decides nothing that it says, as how many samples decode at once, is no part of a record.
    settings: BackendConfig = field(repr=False)
    key: str = field(init=False)  # of its identity, by which a run knows its engines

    def __post_init__(self) -> None:
        is_free = bool(self.name) and self.name != "model" and not self.name.startswith("reward")
        rule = "have a name, and none of nbest's own: model, reward"
        require(is_free, "model", rule, self.name)
        object.__setattr__(self, "key", model_key(self.settings.identity))


@runtime_checkable
class Rates(Protocol):
    """A model's settings that say what its numbers for a response are: see `Backend`, rule 6."""

    @property
    def rates(self) -> Literal["rewards", "log-probabilities", "nothing"]: ...


def require_rates(model: object, wanted: str, scorer: str) -> None:
    """Raise InputError where a model says that it rates with other numbers; silent ones may fit."""
    rates = model.rates if isinstance(model, Rates) else wanted
    require(rates == wanted, f"{scorer}: model", f"rate with {wanted}", rates)


class Extractor(Protocol):
    """Reads the answer out of a text; None where there is none. It is pure and never raises."""

    def __call__(self, text: str) -> str | None: ...


class Scorer(Protocol):
    """Scores the candidates of one query. A selector is a scorer and an argmax.

    1. Returns float64 [N]: higher is better, nan where it cannot say. The order of the candidates
       does not matter: permuting them permutes the scores.
    2. A candidate whose answer is None may get any score; selection ignores it.
    3. `needs_logprobs` says which log-probabilities the samples must carry, as `logprobs` of
       SamplingParams does: None for none; engines compute them only on request.
    4. It may ask the model that made the candidates (`candidates.ask`), or another one
       (`ask_model`), or have one rate them (`rate`). It has the other model, a BackendConfig or a
       NamedModel, among its fields: so the run knows what to start.
    """

    @property
    def needs_logprobs(self) -> int | None: ...

    async def __call__(self, query: Query, candidates: Candidates) -> Scores: ...


@runtime_checkable
class Pointwise(Protocol):
    """A scorer that says whether each score depends on its own candidate alone.

    If so, the scores of all candidates also decide the choice from any subset of them.
    """

    @property
    def is_pointwise(self) -> bool: ...


def is_pointwise(scorer: object) -> bool:
    """Whether each score depends on its own candidate alone; False where the scorer is silent."""
    return isinstance(scorer, Pointwise) and scorer.is_pointwise


@runtime_checkable
class Bounded(Protocol):
    """A scorer that says between which numbers all its scores lie."""

    @property
    def score_bounds(self) -> tuple[float, float]: ...


def score_bounds(scorer: object) -> tuple[float, float] | None:
    """The least and the greatest score that a scorer can give; None where it is silent."""
    return scorer.score_bounds if isinstance(scorer, Bounded) else None


@runtime_checkable
class AsksModel(Protocol):
    """A scorer that says whether it puts questions to the model that made the candidates."""

    @property
    def asks_model(self) -> bool: ...


@runtime_checkable
class AsksTogether(Protocol):
    """An `Ask` that also takes many prompts in one call; the samples come in their order."""

    async def __call__(self, name: str, prompt: Prompt, params: SamplingParams) -> Sample: ...

    async def together(
        self, name: str, prompts: Sequence[Prompt], params: SamplingParams
    ) -> tuple[Sample, ...]: ...


class Validator(Protocol):
    """Says which candidates keep a rule: a schema, a grammar, tests.

    Returns bool [N]; False where the answer is None. The text of a model is hostile input here, and
    no text makes a validator raise. The order of the candidates does not matter.
    """

    async def __call__(self, query: Query, candidates: Candidates) -> NDArray[np.bool_]: ...


@runtime_checkable
class Explains(Protocol):
    """A validator that says why a text breaks its rule, in a few lines; () where it does not."""

    async def why(self, query: Query, text: str) -> tuple[str, ...]: ...


class Equivalence(Protocol):
    """Says which answers mean the same: "1/2" and "0.5".

    Takes the distinct answers [A] of a query and returns [A] numbers: equal ones, same meaning.
    Which numbers is up to it. An answer that it cannot read in time is alone in its group. The
    order of the answers does not matter.
    """

    async def __call__(self, query: Query, answers: Sequence[str]) -> Sequence[int]: ...


class Sampler(Protocol):
    """Draws the samples of one query. Index i is the same sample in every run with the same seed.

    1. A sample that the store holds comes back without an engine.
    2. A request that the engine refuses, or fails at, comes back as a sample with status ERROR.
    3. The store has a sample before the sample is returned.
    4. `ask` draws a sample of another prompt, about the samples of this query: what a judge says.
       It is stored and counted like them; the same call again gives the same sample.
    5. `ask_model` gives the `ask` of another model of the run.
    6. `rate` has a model rate responses to the question of this query, in the same way.
    """

    async def __call__(self, index: int, params: SamplingParams) -> Sample: ...

    async def ask(self, name: str, prompt: Prompt, params: SamplingParams) -> Sample: ...

    def ask_model(self, identity: Identity) -> Ask: ...

    async def rate(self, identity: Identity, responses: Sequence[str]) -> tuple[Sample, ...]: ...

    async def abort(self, index: int) -> None: ...


@runtime_checkable
class NodeSampler(Sampler, Protocol):
    """A `Sampler` that also draws the nodes of a tree: steps of an answer, or its revisions.

    A step comes after `prefix`, what was written on the way to its parent; a revision answers
    another prompt, which is made of its parent. The same node with the same parameters is the same
    sample in every run; it is stored and counted as all are.
    """

    async def step(self, path: Path, prefix: Prefix, params: SamplingParams) -> Sample: ...

    async def revise(self, path: Path, prompt: Prompt, params: SamplingParams) -> Sample: ...

    async def abort_node(self, path: Path) -> None: ...


class ModelCalls(Protocol):
    """What a scorer may ask of models about the samples of one query: part of a `Sampler`."""

    @property
    def ask(self) -> Ask: ...

    @property
    def ask_model(self) -> AskModel: ...

    @property
    def rate(self) -> Rate: ...


class Strategy(Protocol):
    """Decides how many samples to draw and which answer to give.

    A frozen dataclass: its fields are its settings, and its repr is its line in the log.
    """

    async def __call__(self, query: Query, sampler: Sampler) -> Selection: ...


@runtime_checkable
class BatchStrategy(Protocol):
    """Decides for a whole batch of queries together how many samples each of them gets.

    1. `draw` draws for all queries [Q] with their samplers [Q] and returns a strategy [Q] for each,
       which does the rest for its query and draws no more.
    2. The failure of one query is raised by its own strategy; `draw` raises only what ends the run.
    3. The order in which the samples arrive changes nothing.
    """

    async def draw(
        self, queries: Sequence[Query], samplers: Sequence[Sampler]
    ) -> Sequence[Strategy]: ...


class SampleStore(Protocol):
    """Where samples survive. Keys are (query id, index); the first committed of a key wins."""

    def get(self, query_id: str, index: int) -> Sample | None: ...

    def add(self, query_id: str, index: int, sample: Sample) -> None: ...
