"""The config of a run: a YAML file and `--set`, checked whole before anything is started.

Every mistake is one line, with the file and the line of the key, as an InputError. Checking imports
the classes that the config names, none of which imports an engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    Field,
    JsonValue,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from nbest.experiments.config.arms import ArmSection, build_panel, build_prompts
from nbest.experiments.config.model_names import unbound_names, with_models
from nbest.experiments.config.model_section import ModelSection
from nbest.experiments.config.objects import Objects, builds, objects_of
from nbest.experiments.config.output import OutputSection, with_output
from nbest.experiments.config.overrides import apply_overrides
from nbest.experiments.config.plugins import (
    build_equivalence,
    build_extractor,
    build_grader,
    build_scorer,
)
from nbest.experiments.config.sections import ClusterSection, SamplingSection
from nbest.experiments.config.selector_names import Selectors, check_names
from nbest.experiments.config.short_forms import written_out
from nbest.experiments.config.strategy import Sampling, StrategySection
from nbest.experiments.language.errors import Origins, explain
from nbest.experiments.language.expressions import parse_expression
from nbest.experiments.language.section import Section
from nbest.experiments.language.text import shown
from nbest.experiments.language.yaml_text import read_yaml
from nbest.experiments.questions.datasets.kinds import Dataset
from nbest.experiments.questions.datasets.tasks import TaskData
from nbest.experiments.questions.graders.model_verdicts import ModelVerdicts
from nbest.experiments.questions.graders.tasks import runs_text
from nbest.experiments.questions.prompts import PromptSection
from nbest.experiments.questions.reading import Reading
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import BackendConfig, Scorer
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.query.panel import Panel
from nbest.orchestrator.query.parts import nested_parts
from nbest.scorers.votes.arm_weight import ArmWeight

EntryName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.]{0,39}$")]


class Config(Section):
    """All settings of a run."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}$",
        description="The name of the run: its folder in runs/ and the start of its request ids. A "
        "file without one has its own name.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**53,
        description="Every sample has its own seed, derived from this one.",
    )
    dataset: Dataset = Field(
        description="What is asked. A text is a path; the kind may be left out where it shows."
    )
    prompt: PromptSection = Field(
        default=PromptSection(), description="How it is put to the model."
    )
    model: ModelSection = Field(
        description="Which model answers, and its engine's settings. A text is a model for vLLM."
    )
    models: dict[EntryName, ModelSection] = Field(
        default={},
        description="Further models, by name, each with the keys of model: arms and "
        "selectors name them, as judge(model=large).",
    )
    sampling: SamplingSection = Field(
        default=SamplingSection(), description="How samples are drawn."
    )
    arms: Annotated[tuple[ArmSection, ...], Field(strict=False)] = Field(
        default=(),
        description="Ways to draw that take turns over the samples of a question, as "
        "[{temperature: 0.3}, {temperature: 1.0, prompt: brief, weight: 2}]: each says what it has "
        "otherwise than sampling and prompt.",
    )
    prompts: dict[EntryName, dict[str, JsonValue]] = Field(
        default={},
        description='Prompts for arms, by name, as {brief: {system: "Be brief."}}: what each has '
        "otherwise than prompt.",
    )
    strategy: StrategySection = Field(default=StrategySection(), description="How many samples.")
    select: Selectors = Field(
        default=("vote",),
        description="Selectors, as vote or random(seed=3), or by names of your own, as "
        "{sql: first_valid(sql)}. The first one gives the run's answers; all of them stand in its "
        "table.",
    )
    extract: Annotated[str, builds(build_extractor)] = Field(
        default="final_answer",
        description="How the answer is read out of a sample's text, as last_number or "
        'after_marker(marker="####").',
    )
    equivalence: Annotated[str, builds(build_equivalence)] = Field(
        default="exact",
        description="Which answers count as the same: exact, for equal text, or the name of an "
        "equivalence, as number.",
    )
    grade: Annotated[str, builds(build_grader)] = Field(
        default="exact",
        description="How answers are compared with gold answers: exact, number, json, mathematics, "
        "reasoning_gym, none, or one with settings, as number(tolerance=0.01).",
    )
    output: OutputSection | None = Field(
        default=None,
        description="Answers are JSON values of a schema. It sets select, extract, equivalence, "
        "strategy.corrected, and with a mask sampling.constraint.",
    )
    cluster: ClusterSection = Field(default=ClusterSection(), description="Where it runs.")
    _objects: Objects = PrivateAttr(default_factory=Objects)

    @model_validator(mode="before")
    @classmethod
    def _expanded(cls, data: object) -> object:
        """Write short forms out, and put what `output` stands for in its place."""
        return with_output(written_out(data))

    @model_validator(mode="after")
    def _fits_together(self, info: ValidationInfo) -> Self:
        self._objects = objects_of(info)
        check_names(self.select)
        if self.strategy.budget is not None and self.cluster.workers > 1:
            rule = "be 1 with strategy.budget: one worker decides for all questions"
            raise InputError(f"cluster.workers must {rule}, got {self.cluster.workers}")
        if parse_expression(self.grade).name == "reasoning_gym":
            self._check_task_grader()
        if isinstance(self.reading().grade, ModelVerdicts):
            rule = "name what is known before a run; `--grade` of other commands reads verdicts"
            raise InputError(f"grade must {rule}, got {self.grade!r}")
        self._check_arms()
        self.scorers()
        self._check_search()
        return self

    def _check_arms(self) -> None:
        stages = self.strategy.stages
        if self.arms and stages and len(stages) != len(self.arms):
            rule = f"have {len(self.arms)} stages, one an arm"
            raise InputError(f"strategy.cascade must {rule}, got {len(stages)}")
        panel = self.build_panel()
        self.build_prompts()
        self._check_arm_weights([] if panel is None else [arm.name for arm in panel.arms])
        unused = sorted(self.prompts.keys() - {arm.prompt for arm in self.arms})
        if unused:
            raise InputError(f"prompts must be used by an arm each, got {unused}")
        if self.arms and self.strategy.deep_conf is not None:
            rule = "be left out with arms: it compares the confidence of samples drawn alike"
            raise InputError(f"strategy.deep_conf must {rule}")

    def _check_search(self) -> None:
        kind = self.strategy.tree
        if kind is None:
            return
        corrected = self.strategy.corrected
        if corrected is not None and corrected.half_free and self.sampling.constraint is None:
            raise InputError("strategy.corrected.half_free must go with sampling.constraint")
        if self.arms:
            rule = "be left out with arms: all nodes of a tree are drawn in one way"
            raise InputError(f"strategy.{kind} must {rule}")
        if kind in ("search", "budget_forcing") and self.model.backend == "openai":
            rule = (
                f"be an engine of nbest's own with strategy.{kind}: no server goes on after tokens"
            )
            raise InputError(f"model.backend must {rule}, got 'openai'")
        if kind != "search":
            return
        reasoning = (self.model.__pydantic_extra__ or {}).get("reasoning", "tags")
        if reasoning != "tags":
            rule = "be tags with a search: a step is a part of an answer, and parted with the whole"
            raise InputError(f"model.reasoning must {rule}, got {reasoning!r}")
        try:
            self.build_strategy()
        except InputError as error:  # what the strategy alone says of has been checked before
            raise InputError(f"sampling.{error}") from error

    def _check_arm_weights(self, names: Sequence[str]) -> None:
        """Refuse a selector that weighs arms and does not name all of them."""
        for place, scorer in enumerate(self.scorers().values()):
            for part in nested_parts(scorer, lambda part: isinstance(part, ArmWeight)):
                assert isinstance(part, ArmWeight)
                if not names or set(names) - set(part.weights):
                    rule = f"name all arms ({', '.join(names) or 'this run has none'})"
                    raise InputError(f"select[{place}]: arm_weight: weights must {rule}")

    def unused_models(self) -> list[str]:
        """The names of models that neither an arm nor a selector has: maybe a later command's."""
        used = {arm.model for arm in self.arms}
        for text in (*self.select, *self.strategy.ratings):
            used |= unbound_names(self._objects.get(build_scorer, text))
        return sorted(set(self.models) - used)

    def build_models(self) -> dict[str, BackendConfig]:
        """Build the settings of the further models, by name."""
        return {name: section.build() for name, section in self.models.items()}

    def build_panel(self) -> Panel | None:
        """Build the arms that draw; None where all samples are drawn in one way."""
        stages = self.strategy.stages
        return build_panel(self.arms, self.sampling, self.prompts, self.models, stages)

    def build_prompts(self) -> dict[str, PromptSection]:
        """Build the prompts of the arms, by name."""
        return build_prompts(self.prompt, self.prompts)

    def _check_task_grader(self) -> None:
        if not isinstance(self.dataset, TaskData):
            rule = f"be exact, number or none for a dataset of kind {self.dataset.kind}"
            raise InputError(f"grade must {rule}, got {self.grade!r}")
        if self.dataset.is_known() and runs_text(self.dataset.task):
            rule = f"be exact, number or none for {self.dataset.task}"
            why = "its own grader would run text as code"
            raise InputError(f"grade must {rule} ({why}), got {self.grade!r}")

    def scorers(self) -> dict[str, Scorer]:
        """The selectors' scorers by their names, in order; the first gives the answers."""
        models = self.build_models()
        scorers = {}
        for place, text in enumerate(self.select):
            try:
                scorers[parse_expression(text).shown] = with_models(
                    self._objects.get(build_scorer, text), models
                )
            except InputError as error:
                raise InputError(f"select[{place}]: {error}") from error
        return scorers

    def reading(self) -> Reading:
        """Build what reads, merges and grades answers."""
        return Reading(
            extract=self._objects.get(build_extractor, self.extract),
            equivalence=self._objects.get(build_equivalence, self.equivalence),
            grade=self._objects.get(build_grader, self.grade),
        )

    def build_strategy(self) -> Sampling:
        """Build the strategy, which chooses by the first selector.

        Its samples have the log-probabilities that any of the selectors reads.
        """
        reading = self.reading()
        needed = (scorer.needs_logprobs for scorer in self.scorers().values())
        choice = Choice(
            select=self._objects.get(build_scorer, self.select[0]),
            extract=reading.extract,
            equivalence=reading.equivalence,
            params=self.sampling.build().with_logprobs(*needed),
        )
        strategy = self.strategy.build(choice, self._objects, self.seed)
        return with_models(strategy, self.build_models())


def load_config(path: Path, overrides: Sequence[str] = (), without: Sequence[str] = ()) -> Config:
    """Read the config in a file, with `--set` assignments applied in order.

    It is named as its file where it has no name. `without` are keys of `dataset` that do not count.
    """
    document = read_yaml(path)
    if document.value is None:
        raise InputError(f"{path}: must hold a config, got an empty file")
    if not isinstance(document.value, Mapping):
        raise InputError(
            f"{path}:1: must be a mapping of keys to values, got {shown(document.value)}"
        )
    origins = Origins(source=str(path), lines=document.lines)
    raw, origins = apply_overrides(_named(document.value, path, without), overrides, origins)
    try:
        return Config.model_validate(raw, context=Objects(trusted=True))
    except ValidationError as error:
        raise InputError(explain(error, raw, origins)) from error


def _named(raw: Mapping[str, object], path: Path, without: Sequence[str]) -> Mapping[str, object]:
    dataset = raw.get("dataset")
    named = {"name": path.stem, **raw}
    if without and isinstance(dataset, dict):
        named["dataset"] = {k: v for k, v in dataset.items() if k not in without}
    return named
