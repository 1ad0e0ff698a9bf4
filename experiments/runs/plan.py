"""Makes a config into a plan: questions rendered, strategy built, nothing started.

It reads the dataset, and knows no engine and no run directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from nbest.experiments.config.config import Config
from nbest.experiments.config.strategy import Sampling
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.prompts import Prompts, render
from nbest.experiments.runs.stored_calls import require_first
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.protocols import BackendConfig
from nbest.orchestrator.store.format.manifest import Json
from nbest.orchestrator.strategies.deep_conf import DeepConf


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a run needs, checked."""

    config: Config
    prompts: Prompts
    gold: Mapping[str, Gold]  # by query id; it stays in `experiments`
    strategy: Sampling
    backend: BackendConfig

    @property
    def num_queries(self) -> int:
        return len(self.prompts.queries) + len(self.prompts.bad)

    def fingerprint(self) -> dict[str, Json]:
        """The settings that decide what the samples are; other settings make another run."""
        sampling = asdict(self.strategy.sampling())
        del sampling["floor"]  # no setting: strategies learn it, sample by sample
        settings: dict[str, Json] = {
            "seed": self.config.seed,
            "model": {"backend": self.config.model.backend, **self.backend.identity},
            "sampling": sampling,
        }
        if isinstance(self.strategy, DeepConf):  # it ends samples that other strategies finish
            settings["deep_conf"] = self._early_ends(self.strategy)
        return settings

    def _early_ends(self, strategy: DeepConf) -> dict[str, Json]:
        return {
            "warm_up": strategy.warm_up,
            "keep": strategy.keep,
            "window": strategy.by.window,
            "k": strategy.by.k,
        }

    def cluster(self) -> Cluster:
        """The Ray cluster that the plan runs on."""
        return self.config.cluster.build()


def make_plan(config: Config, limit: int | None = None) -> Plan:
    """Load the questions, render the prompts, build the strategy of the first selector."""
    require_first(config.scorers())
    questions = config.dataset.load(config.prompt.shots, limit)
    return Plan(
        config=config,
        prompts=render(config.prompt, questions),
        gold=questions.gold(),
        strategy=config.build_strategy(),
        backend=config.model.build(),
    )
