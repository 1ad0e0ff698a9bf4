"""The calls that scorers make to models: their keys in the store, and many calls at once.

It knows no engine, no store and no scorer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

from nbest.orchestrator.errors import BackendError
from nbest.orchestrator.protocols import BackendConfig, NamedModel
from nbest.orchestrator.query.parts import nested_parts
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.tasks import task_group
from nbest.orchestrator.types import (
    Ask,
    Identity,
    Message,
    Path,
    Prefix,
    Prompt,
    Request,
    Sample,
    digest_of,
    model_key,
)


def call_key(
    query_id: str,
    name: str,
    prompt: Prompt,
    params: SamplingParams,
    model: str = "",
) -> str:
    """The query id under which the answer is stored, at index 0: `q17/judge-3f...`.

    It is a hash of the prompt and the parameters, so that another question never gets this answer,
    and of the key of the `model`, where it is not the one that made the candidates.
    """
    content = f"({_prompt_text(prompt)}, {_text(params, FIRST_PARAMS)}){model}"
    digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{query_id}/{name}-{digest[:16]}"


# The fields that keys have named from the first version on. A later field is named only where it
# is not at its default: the calls that older runs have stored are found by their keys.
FIRST_PARAMS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "stop",
    "logprobs",
    "constraint",
    "token_texts",
    "floor",
)
_FIRST_MESSAGE = ("role", "content")


def _prompt_text(prompt: Prompt) -> str:
    if isinstance(prompt, str):
        return repr(prompt)
    turns = [_text(message, _FIRST_MESSAGE) for message in prompt]
    return f"({turns[0]},)" if len(turns) == 1 else f"({', '.join(turns)})"


def _text(value: Message | SamplingParams, first: Sequence[str]) -> str:
    """The repr of a value as it was when these were its fields, with later ones that are set."""
    named = [
        f"{field.name}={getattr(value, field.name)!r}"
        for field in fields(value)
        if field.name in first or getattr(value, field.name) != field.default
    ]
    return f"{type(value).__name__}({', '.join(named)})"


def rating_key(query_id: str, model: str, response: str) -> str:
    """The query id under which a model's numbers for a response are stored, at index 0.

    The question is that of the query. `model` is the key of the model's identity.
    """
    content = repr((model, response)).encode("utf-8", "surrogatepass")
    return f"{query_id}/reward-{hashlib.sha256(content).hexdigest()[:16]}"


def revision_key(query_id: str, path: Path, prompt: Prompt, params: SamplingParams) -> str:
    """The query id under which answers to another prompt, made of a node, are stored."""
    return _node_key(query_id, path, _prompt_text(prompt), params)


def step_key(query_id: str, path: Path, prefix: Prefix, params: SamplingParams) -> str:
    """The query id under which the children of a node are stored: `q17/t3.0-1a2b...`.

    It is the node that `path` is a child of, and a hash of what has been written up to there and of
    the parameters: a node that came out otherwise has other children, which are never mixed.
    """
    return _node_key(query_id, path, repr(prefix), params)


def _node_key(query_id: str, path: Path, before: str, params: SamplingParams) -> str:
    # How much is recorded of a node decides nothing that it says.
    saying = replace(params, logprobs=None, token_texts=False, floor=None)
    content = before + _text(saying, FIRST_PARAMS)
    digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{query_id}/t{'.'.join(map(str, path[:-1]))}-{digest[:16]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchedAsk:
    """An `Ask` that also takes many questions in one call."""

    one: Ask

    async def __call__(self, name: str, prompt: Prompt, params: SamplingParams) -> Sample:
        return await self.one(name, prompt, params)

    async def together(
        self, name: str, prompts: Sequence[Prompt], params: SamplingParams
    ) -> tuple[Sample, ...]:
        """The samples of these prompts, in their order; the same prompt twice is asked once.

        The first failure is raised when the other calls have been cancelled and have ended.
        """
        async with task_group() as group:
            tasks = {p: group.create_task(self(name, p, params)) for p in dict.fromkeys(prompts)}
        return tuple(tasks[prompt].result() for prompt in prompts)


class NotStarted:
    """The `Backend` of a model that this run has not started."""

    async def generate(self, request: Request) -> Sample:
        raise BackendError("the model has not been started")

    async def abort(self, request_id: str) -> None: ...


def model_key_by_path(identity: Identity) -> str:
    """The key under which earlier versions stored ratings: it holds the path as it was spelt."""
    return digest_of(identity)


def models_of(part: object) -> dict[str, BackendConfig]:
    """Find the models among the settings of a strategy and of its parts; returns them by key.

    A scorer that wants a model has it as a field. The same model twice is one model.
    """
    found = _models_in(part)
    models = (model.settings if isinstance(model, NamedModel) else model for model in found)
    return {model_key(model.identity): model for model in models}


def named_models_of(part: object) -> dict[str, NamedModel]:
    """Find the models with names among the settings of a strategy and its parts, by key."""
    return {model.key: model for model in _models_in(part) if isinstance(model, NamedModel)}


def _models_in(part: object) -> Iterator[BackendConfig | NamedModel]:
    yield from nested_parts(part, _is_model)  # type: ignore[misc]  # each has what a model has


def _is_model(part: object) -> bool:
    return isinstance(part, NamedModel) or (hasattr(part, "open") and hasattr(part, "identity"))
