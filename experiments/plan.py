"""From a config to what a run does: questions rendered, strategy built, nothing started.

It reads the dataset, and knows no engine and no run directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from experiments.config import Config
from experiments.gold import Gold
from experiments.prompts import Prompts, render
from experiments.stored_calls import require_first
from experiments.stored_run import Sampling
from orchestrator.adaptive import Adaptive
from orchestrator.cluster_settings import Cluster
from orchestrator.protocols import BackendConfig, Scorer
from orchestrator.race import RaceToValid
from orchestrator.store_manifest import Json
from orchestrator.strategies import BestOfN


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a run needs, checked."""

    config: Config
    prompts: Prompts
    gold: Mapping[str, Gold]  # by query id; it goes no further than `experiments`
    strategy: Sampling
    backend: BackendConfig

    @property
    def num_queries(self) -> int:
        return len(self.prompts.queries) + len(self.prompts.bad)

    def fingerprint(self) -> dict[str, Json]:
        """The settings that decide what the samples are; a run with others is another run."""
        sampling = asdict(self.strategy.sampling())
        del sampling["floor"]  # no setting: strategies learn it, sample by sample
        return {
            "seed": self.config.seed,
            "model": {"backend": self.config.model.backend, **self.backend.identity},
            "sampling": sampling,
        }

    def cluster(self) -> Cluster:
        """Where it runs on Ray."""
        return self.config.cluster.build()


def make_plan(config: Config, limit: int | None = None) -> Plan:
    """Load the questions, render the prompts, build the strategy of the first selector."""
    scorers = config.scorers()
    require_first(scorers)
    questions = config.dataset.load(config.prompt.shots, limit)
    first = next(iter(scorers.values()))
    return Plan(
        config=config,
        prompts=render(config.prompt, questions),
        gold=questions.gold(),
        strategy=_strategy(config, first),
        backend=config.model.build(),
    )


def _strategy(config: Config, first: Scorer) -> Sampling:
    """A fixed number of samples, as many as the rule wants, or a race among them."""
    validator, rule = config.strategy.validator(), config.strategy.stop_rule()
    if validator is not None:
        return RaceToValid(
            n=config.strategy.n,
            rule=validator,
            extract=config.extractor(),
            params=config.sampling.build(),
        )
    if rule is None:
        return BestOfN(
            n=config.strategy.n,
            select=first,
            extract=config.extractor(),
            equivalence=config.same(),
            min_confidence=config.strategy.min_confidence,
            params=config.sampling.build(),
        )
    return Adaptive(
        max_n=config.strategy.n,
        select=first,
        rule=rule,
        ahead=config.strategy.ahead,
        extract=config.extractor(),
        equivalence=config.same(),
        min_confidence=config.strategy.min_confidence,
        params=config.sampling.build(),
    )
