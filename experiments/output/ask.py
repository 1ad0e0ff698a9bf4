"""`nbest.ask`: one question, and its answer, or a value of a type."""

from __future__ import annotations

from typing import Any, overload

from nbest.experiments.output.structured_output import Output, StructuredOutput, T, output_of
from nbest.model_backend.models.names import SMALL_MODEL
from nbest.model_backend.vllm.settings import VLLM
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import BackendConfig, BatchStrategy, Strategy
from nbest.orchestrator.query.panel import Panel
from nbest.orchestrator.run import local
from nbest.orchestrator.types import Message, Selection

Question = str | tuple[Message, ...]


# The second signature takes any strategy, and so this one as well: which comes first decides.
@overload
def ask(  # type: ignore[overload-overlap]
    question: Question,
    strategy: StructuredOutput,
    backend: BackendConfig | None = None,
    *,
    seed: int = 0,
) -> Output[Any]: ...


@overload
def ask(
    question: Question,
    strategy: Strategy | BatchStrategy,
    backend: BackendConfig,
    *,
    seed: int = 0,
    panel: Panel | None = None,
) -> Selection: ...


@overload
def ask(
    question: Question,
    strategy: None = None,
    backend: BackendConfig | None = None,
    *,
    output: type[T],
    n: int = 1,
    seed: int = 0,
) -> Output[T]: ...


@overload
def ask(
    question: Question,
    strategy: None = None,
    backend: BackendConfig | None = None,
    *,
    output: object,
    n: int = 1,
    seed: int = 0,
) -> Output[Any]: ...


def ask(
    question: Question,
    strategy: Strategy | BatchStrategy | None = None,
    backend: BackendConfig | None = None,
    *,
    output: object = None,
    n: int = 1,
    seed: int = 0,
    panel: Panel | None = None,
) -> Selection | Output[Any]:
    """Ask one question, as a chat with one user turn if it is a text.

    With a strategy it returns a `Selection`; with a `panel`, its arms draw the samples. With
    `output`, a Pydantic model, another type or a JSON schema, or with `StructuredOutput` as the
    strategy, it returns an `Output` that holds a value of that type, and asks the small model
    unless there is a backend. BackendError where the engine fails, PartFailed where a part of the
    user's own does.

    Example: `ask("How many days are in a week?", BestOfN(n=16, select=MajorityVote()), backend)`
    """
    chosen = chosen_strategy(strategy, output, n)
    if isinstance(chosen, StructuredOutput):
        used = VLLM(SMALL_MODEL) if backend is None else backend
        asked = chosen.asked(question)
        return output_of(local.ask(asked, chosen.strategy(), used, seed=seed), chosen)
    if backend is None:
        raise InputError("backend must be given without output, got nothing")
    return local.ask(question, chosen, backend, seed=seed, panel=panel)


def chosen_strategy(
    strategy: Strategy | BatchStrategy | None, output: object, n: int
) -> Strategy | BatchStrategy:
    """Return what is asked for, a strategy or a value of a type; InputError where it is not one."""
    if output is not None:
        if strategy is not None:
            raise InputError(f"strategy must be left out with output, got {strategy!r}")
        return StructuredOutput(schema=output, n=n)
    if strategy is None:
        raise InputError("strategy must be given without output, got nothing")
    return strategy
