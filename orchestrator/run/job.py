"""The job of a run: the queries, what to do with them, and where the samples are kept.

It is a value that pickles: the driver sends it to workers as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nbest.orchestrator.ids import require_once
from nbest.orchestrator.protocols import BackendConfig, BatchStrategy, NamedModel, Strategy
from nbest.orchestrator.query.model_calls import models_of, named_models_of
from nbest.orchestrator.query.panel import Panel
from nbest.orchestrator.requirements import require
from nbest.orchestrator.strategies.cascade import Cascade
from nbest.orchestrator.strategies.deep_conf import DeepConf
from nbest.orchestrator.strategies.search.grown import TreeStrategy
from nbest.orchestrator.types import Query


def named_models(strategy: object, panel: Panel | None) -> dict[str, NamedModel]:
    """Find the models with names that a run has besides its own: of scorers and of arms, by key."""
    return named_models_of(strategy) | ({} if panel is None else panel.models)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a worker needs to know besides its queries and its engines."""

    run: str  # first part of every request id
    seed: int
    strategy: Strategy | BatchStrategy
    directory: str | None  # the run's folder; None keeps samples in memory for the time of the run
    panel: Panel | None = None  # the arms that draw; None: one way for all samples

    def __post_init__(self) -> None:
        rule = "be left out with arms: it compares the confidence of samples drawn alike"
        is_alike = self.panel is None or not isinstance(self.strategy, DeepConf)
        require(is_alike, "deep_conf", rule, "both")
        rule = "be left out with arms: all nodes of a tree are drawn in one way"
        is_tree = isinstance(self.strategy, TreeStrategy)
        require(self.panel is None or not is_tree, "strategy", rule, "both")
        if self.panel is not None and self.panel.stages and isinstance(self.strategy, Cascade):
            stages = tuple(stage.n for stage in self.strategy.stages)
            rule = f"be those of the cascade, {stages}"
            require(self.panel.stages == stages, "stages", rule, self.panel.stages)

    @property
    def models(self) -> dict[str, BackendConfig]:
        """The models of scorers and of arms, besides the one that the run has, by key."""
        named = {key: model.settings for key, model in self._named.items()}
        return models_of(self.strategy) | named

    @property
    def names(self) -> dict[str, str]:
        """What the engines of each of these models are called, by key: `large-`, `reward`."""
        named = self._named
        return {key: f"{named[key].name}-" if key in named else "reward" for key in self.models}

    @property
    def _named(self) -> dict[str, NamedModel]:
        return named_models(self.strategy, self.panel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A whole run: what to do, with which model, for which queries."""

    work: Work
    backend: BackendConfig | None  # None: the store has all samples, and only scorers need models
    queries: Sequence[Query]  # those that are still to be answered

    def __post_init__(self) -> None:
        require_once(query.id for query in self.queries)

    @property
    def models(self) -> dict[str, BackendConfig]:
        """The models of scorers and of arms, by key."""
        return self.work.models
