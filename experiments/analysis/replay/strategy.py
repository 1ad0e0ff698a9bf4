"""What can be replayed, and the names by which `nbest replay` knows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from nbest.experiments.analysis.replay.drawn import Drawn, Spent
from nbest.experiments.config.plugins import named_kinds
from nbest.experiments.language.plugin_kind import PluginKind
from nbest.orchestrator.protocols import Scorer


class ReplayedStrategy(Protocol):
    """A strategy that can be replayed: the scorer by which it chooses, and its outcomes.

    It gets one order of each question, for some strategies decide over a whole batch.
    """

    @property
    def select(self) -> Scorer: ...

    async def outcomes(self, drawn: Sequence[Drawn]) -> list[Spent]: ...


STRATEGIES = PluginKind(
    noun="strategy",
    group="nbest.replayed_strategies",
    parts=named_kinds,
    methods=("select", "outcomes"),
    built_in={
        "adaptive": "nbest.experiments.analysis.replay.adaptive:ReplayedAdaptive",
        "budget": "nbest.experiments.analysis.replay.budget:ReplayedBudget",
        "cascade": "nbest.experiments.analysis.replay.cascade:ReplayedCascade",
        "deep_conf": "nbest.experiments.analysis.replay.deep_conf:ReplayedDeepConf",
        "race": "nbest.experiments.analysis.replay.race:ReplayedRace",
    },
)


def build_strategy(text: str) -> ReplayedStrategy:
    """Build a strategy from its text, such as `adaptive(rule=beta(confidence=0.9))`."""
    return cast("ReplayedStrategy", STRATEGIES.parse(text, trusted=True))
