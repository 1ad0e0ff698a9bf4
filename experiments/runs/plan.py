"""Makes a config into a plan: questions rendered, strategy built, nothing started.

It reads the dataset, and knows no engine and no run directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from nbest.experiments.config.config import Config
from nbest.experiments.config.strategy import Sampling
from nbest.experiments.language.text import suggestion
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.graders.by_part import needs_gold
from nbest.experiments.questions.items import Questions
from nbest.experiments.questions.prompts import Prompts, render
from nbest.experiments.runs.stored_calls import asks_model, require_first
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import BackendConfig, NamedModel
from nbest.orchestrator.query.model_calls import FIRST_PARAMS
from nbest.orchestrator.query.panel import Arm, Panel
from nbest.orchestrator.run.job import named_models
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.store.format.manifest import Json
from nbest.orchestrator.strategies.deep_conf import DeepConf
from nbest.orchestrator.strategies.search.corrected import Corrected
from nbest.scorers.structured.preflight import preflight


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a run needs, checked."""

    config: Config
    prompts: Prompts
    gold: Mapping[str, Gold]  # by query id; it stays in `experiments`
    strategy: Sampling
    backend: BackendConfig
    panel: Panel | None = None  # the arms that draw
    notes: tuple[str, ...] = ()  # what the user should know before anything is drawn

    @property
    def num_queries(self) -> int:
        return len(self.prompts.queries) + len(self.prompts.bad)

    def fingerprint(self) -> dict[str, Json]:
        """The settings that decide what the samples are; other settings make another run."""
        sampling = sampling_identity(self._sampling())
        settings: dict[str, Json] = {
            "seed": self.config.seed,
            "model": {"backend": self.config.model.backend, **self.backend.identity},
            "sampling": sampling,
        }
        if self.panel is not None:
            settings["arms"] = {arm.name: self._arm_identity(arm) for arm in self.panel.arms}
            settings["turns"] = list(self.panel.turns_by_name)
            if self.panel.stages:  # the same turns without stages begin anew after a round
                settings["stages"] = list(self.panel.stages[:-1])
        if isinstance(self.strategy, Corrected) and self.strategy.half_free:
            settings["half_free"] = True
        if isinstance(self.strategy, DeepConf):  # it ends samples that other strategies finish
            settings["deep_conf"] = self._early_ends(self.strategy)
        return settings

    def named_models(self) -> list[NamedModel]:
        """The models that the run has besides its own: of arms, and of its selector."""
        return list(named_models(self.strategy, self.panel).values())

    def _sampling(self) -> SamplingParams:
        """What decides the samples: the log-probabilities that later selectors read do not."""
        strategy: Sampling = replace(self.strategy, params=self.config.sampling.build())
        return strategy.sampling()

    def _early_ends(self, strategy: DeepConf) -> dict[str, Json]:
        return {
            "warm_up": strategy.warm_up,
            "keep": strategy.keep,
            "window": strategy.by.window,
            "k": strategy.by.k,
        }

    def _arm_identity(self, arm: Arm) -> dict[str, Json]:
        """What decides which samples an arm draws; the texts of its prompts are kept by query."""
        settings: dict[str, Json] = {
            "prompt": arm.prompt,
            "sampling": sampling_identity(arm.params_for(self._sampling())),
        }
        if arm.model is not None:
            backend = self.config.models[arm.model.name].backend
            settings["model"] = {"backend": backend, **arm.model.settings.identity}
        return settings

    def cluster(self) -> Cluster:
        """The Ray cluster that the plan runs on."""
        return self.config.cluster.build()


def sampling_identity(params: SamplingParams) -> dict[str, Json]:
    """The sampling settings that decide what a sample says.

    One that came later is there where it is set, so runs of before there was it are the same runs.
    """
    plain = asdict(SamplingParams())
    return {
        name: value
        for name, value in asdict(params).items()
        # A floor is no setting: strategies learn it, sample by sample.
        if name != "floor" and (name in FIRST_PARAMS or value != plain[name])
    }


def make_plan(config: Config, limit: int | None = None) -> Plan:
    """Load the questions, render the prompts, build the strategy of the first selector."""
    require_first(config.scorers())
    _require_what_a_race_draws(config)
    questions = config.dataset.load(config.prompt.shots, limit)
    return Plan(
        config=config,
        prompts=render(config.prompt, questions, config.build_prompts()),
        gold=questions.gold(),
        strategy=config.build_strategy(),
        backend=config.model.build(),
        panel=config.build_panel(),
        notes=(
            *grading_notes(config, questions),
            *_unused_models(config),
            *_composed(config),
            *_unenforced(config),
        ),
    )


def _composed(config: Config) -> tuple[str, ...]:
    corrected = config.strategy.corrected
    if corrected is None or not corrected.by_field:
        return ()
    what = "the run's answers are composed field by field, and its table shows the vote on records"
    return (what,)


def _unenforced(config: Config) -> tuple[str, ...]:
    """What vLLM will not enforce of a JSON schema; InputError where it would refuse it."""
    constraint = config.sampling.build().constraint
    if constraint is None or constraint.json is None or config.model.backend != "vllm":
        return ()
    found = preflight(constraint.json)
    engine = (config.model.__pydantic_extra__ or {}).get("engine")
    is_users = isinstance(engine, dict) and "structured_outputs_config" in engine
    if found.refused and not is_users:  # by the engine as nbest starts it
        raise InputError(f"sampling.constraint: {found.refused[0]}")
    return found.unenforced


def _unused_models(config: Config) -> tuple[str, ...]:
    return tuple(
        f"models.{name} is used by no arm and no selector: it is not started"
        for name in config.unused_models()
    )


def _require_what_a_race_draws(config: Config) -> None:
    """Refuse a first selector that a race does not serve: it draws for its rule alone."""
    if config.strategy.race is None:
        return
    name, scorer = next(iter(config.scorers().items()))
    if asks_model(scorer):
        raise InputError(f"select must begin with one that asks no model in a race, got {name!r}")


def grading_notes(config: Config, questions: Questions) -> tuple[str, ...]:
    """Say that nothing is graded, or only some, where there should be gold answers."""
    if config.grade == "none" or not needs_gold(config.reading().grade):
        return ()
    missing = sum(item.gold is None for item in questions.items)
    if missing == 0:
        return ()
    if missing < len(questions.items):
        what = f"{missing:,} of {len(questions.items):,} questions have no gold answer"
        return (f"{what}: they are not graded",)
    column = getattr(config.dataset, "answer", "answer")
    columns = {key for item in questions.items[:100] for key in item.fields} - {"question"}
    near = suggestion(column, columns)
    what = f"no question has a gold answer in the column {column!r}{near}"
    return (f"{what}: nothing is graded (dataset.answer names the column; grade: none says so)",)
