"""A model that stays, from Python: asked for answers, and for values of a type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from nbest.experiments.output.ask import Question, chosen_strategy
from nbest.experiments.output.structured_output import Output, StructuredOutput, T, output_of
from nbest.orchestrator.protocols import BackendConfig, BatchStrategy, Strategy
from nbest.orchestrator.query.panel import Panel
from nbest.orchestrator.run import open_model as running
from nbest.orchestrator.types import Record, Selection


class OpenModel(running.OpenModel):
    """A model whose engine runs until `close`, or to the end of its `with` block.

    It may be asked from several threads and event loops at once.
    """

    # The second signature takes any strategy, and so this one as well: which comes first decides.
    @overload
    def ask(  # type: ignore[overload-overlap]
        self, question: Question, strategy: StructuredOutput, *, seed: int = 0
    ) -> Output[Any]: ...

    @overload
    def ask(
        self,
        question: Question,
        strategy: Strategy | BatchStrategy,
        *,
        seed: int = 0,
        panel: Panel | None = None,
    ) -> Selection: ...

    @overload
    def ask(
        self, question: Question, *, output: type[T], n: int = 1, seed: int = 0
    ) -> Output[T]: ...

    @overload
    def ask(
        self, question: Question, *, output: object, n: int = 1, seed: int = 0
    ) -> Output[Any]: ...

    def ask(
        self,
        question: Question,
        strategy: Strategy | BatchStrategy | None = None,
        *,
        output: object = None,
        n: int = 1,
        seed: int = 0,
        panel: Panel | None = None,
    ) -> Selection | Output[Any]:
        """Ask one question, as `nbest.ask` does: the same seed draws the same samples.

        BackendError where the engine fails, PartFailed where a part of the user's own does.
        """
        chosen = chosen_strategy(strategy, output, n)
        if not isinstance(chosen, StructuredOutput):
            return super().ask(question, chosen, seed=seed, panel=panel)
        asked = chosen.asked(question)
        return output_of(super().ask(asked, chosen.strategy(), seed=seed, panel=panel), chosen)

    @overload
    async def aask(  # type: ignore[overload-overlap]
        self, question: Question, strategy: StructuredOutput, *, seed: int = 0
    ) -> Output[Any]: ...

    @overload
    async def aask(
        self,
        question: Question,
        strategy: Strategy | BatchStrategy,
        *,
        seed: int = 0,
        panel: Panel | None = None,
    ) -> Selection: ...

    @overload
    async def aask(
        self, question: Question, *, output: type[T], n: int = 1, seed: int = 0
    ) -> Output[T]: ...

    @overload
    async def aask(
        self, question: Question, *, output: object, n: int = 1, seed: int = 0
    ) -> Output[Any]: ...

    async def aask(
        self,
        question: Question,
        strategy: Strategy | BatchStrategy | None = None,
        *,
        output: object = None,
        n: int = 1,
        seed: int = 0,
        panel: Panel | None = None,
    ) -> Selection | Output[Any]:
        """Ask one question from an event loop; to cancel it aborts its samples."""
        chosen = chosen_strategy(strategy, output, n)
        if not isinstance(chosen, StructuredOutput):
            return await super().aask(question, chosen, seed=seed, panel=panel)
        asked = chosen.asked(question)
        selection = await super().aask(asked, chosen.strategy(), seed=seed, panel=panel)
        return output_of(selection, chosen)

    def ask_many(
        self,
        questions: Sequence[Question],
        strategy: Strategy | BatchStrategy,
        *,
        seed: int = 0,
        panel: Panel | None = None,
    ) -> list[Record]:
        """Ask many questions at once; returns a record of each, in their order.

        A record has its `selection`; None where the question ended in an error, which `error` says.
        Of a `StructuredOutput`, `output_of(record.selection, strategy)` is the value.
        """
        if isinstance(strategy, StructuredOutput):
            questions = [strategy.asked(question) for question in questions]
            strategy = strategy.strategy()
        return super().ask_many(questions, strategy, seed=seed, panel=panel)


def open_model(backend: BackendConfig) -> OpenModel:
    """Start a model that stays: it is asked often, and started once.

    BackendError or InputError where it cannot be started.

    Example:

        with open_model(VLLM("smollm2-135m")) as model:
            model.ask("How many days are in a week?", BestOfN(n=16, select=MajorityVote()))
            model.ask("Ann, 34, of Oslo", output=Person, n=8)
    """
    return OpenModel(backend)
