"""The section of a config about the strategy: how many samples are drawn, and when it is enough.

It is inert: it builds a strategy and starts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, model_validator

from nbest.experiments.config.corrected import CorrectedSection
from nbest.experiments.config.objects import ExpressionText, Objects, objects_of
from nbest.experiments.config.plugins import build_stop_rule, build_validator
from nbest.experiments.config.revise import ForcingSection, ReviseSection, SynthesisSection
from nbest.experiments.config.search import SearchSection
from nbest.experiments.config.threshold import read_threshold
from nbest.experiments.language.section import Section
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.strategies.adaptive import Adaptive
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.strategies.budget import BatchBudget
from nbest.orchestrator.strategies.cascade import Cascade, Stage
from nbest.orchestrator.strategies.deep_conf import DeepConf
from nbest.orchestrator.strategies.race import RaceToValid
from nbest.orchestrator.strategies.search.grown import TreeStrategy
from nbest.orchestrator.strategies.within_budget import WithinBudget
from nbest.scorers.confidence.trace import Confidence
from nbest.scorers.votes.majority import MajorityVote

Sampling = BestOfN | Adaptive | Cascade | RaceToValid | DeepConf | WithinBudget | TreeStrategy
"""The strategies that a config can name."""


class DeepConfSection(Section):
    """End samples in mid-flight that the model is unsure of (DeepConf)."""

    warm_up: int = Field(default=16, ge=1, description="Samples that are drawn whole.")
    keep: float = Field(
        default=0.9, gt=0, lt=1, description="Share of the warm-up that would not have been ended."
    )
    share: float = Field(
        default=0.95, gt=0.5, le=1, description="Of the votes' weight, at which a question is over."
    )
    window: int = Field(default=2048, ge=1, description="Tokens that confidence is a mean over.")
    k: int = Field(default=20, ge=1, le=20, description="Likeliest tokens that it is read from.")

    def build(self) -> dict[str, Any]:
        """Build the settings that only `DeepConf` has."""
        lowest = Confidence(measure="lowest", window=self.window, k=self.k)
        return {"by": lowest, "warm_up": self.warm_up, "keep": self.keep, "share": self.share}


class BudgetSection(Section):
    """The samples that all questions share; they go where they may still change an answer."""

    average: float | None = Field(default=None, description="Samples a question, in the mean.")
    tokens: int | None = Field(default=None, description="Generated tokens, of all together.")
    first_n: int = Field(default=3, ge=1, description="Samples that every question gets.")
    round_size: int = Field(default=64, ge=1, description="Samples that are given out at a time.")


class StageSection(Section):
    """Samples of a cascade that are drawn together; with arms, by the arm in its place."""

    n: int = Field(ge=1, le=10_000, description="Samples of this stage.")
    min_confidence: float | str | None = Field(
        default=None,
        description="The answer stands where as large a share of the answers so far agrees; else "
        "the next stage is drawn. 0.7, or 0.7@16 as `nbest select --max-risk` prints it. The last "
        "stage has none.",
    )


class StrategySection(SearchSection):
    """How many samples are drawn, and when there is no answer."""

    n: int = Field(
        default=16,
        ge=1,
        le=1_000_000,
        description="Samples a question; with a rule, deep_conf or a budget, at most. With a "
        "cascade: those of its stages.",
    )
    rule: ExpressionText | None = Field(
        default=None,
        description="When a question has samples enough, as margin or beta(confidence=0.9). "
        "Default: every question gets n.",
    )
    race: ExpressionText | None = Field(
        default=None,
        description="The n samples race: the first that this validator passes is the answer, and "
        "the others are aborted. As json(schema=...) or regex(pattern=...).",
    )
    deep_conf: DeepConfSection | None = Field(
        default=None, description="End samples in mid-flight that the model is unsure of."
    )
    cascade: Annotated[tuple[StageSection, ...] | None, Field(strict=False)] = Field(
        default=None,
        min_length=1,
        description="Stages, as [{n: 16, min_confidence: 0.7}, {n: 8}]: each is drawn where those "
        "before are not sure enough. With arms, each stage is the arm in its place.",
    )
    revise: ReviseSection | None = Field(
        default=None, description="n answers are revised, with the last answer in view."
    )
    synthesis: SynthesisSection | None = Field(
        default=None, description="n answers, then n new ones that are made of k each."
    )
    corrected: CorrectedSection | None = Field(
        default=None, description="n answers that have to keep a rule; see output."
    )
    budget_forcing: ForcingSection | None = Field(
        default=None, description="n answers whose thoughts go on, and end at a budget."
    )
    budget: BudgetSection | None = Field(
        default=None, description="What all questions share, in samples or in tokens."
    )
    ahead: int = Field(
        default=4,
        ge=1,
        description="With a rule or deep_conf: samples of a question under way at any time. With a "
        "race: all n, unless this is given; 1 retries until one is valid.",
    )
    min_confidence: float | str = Field(
        default=0.0,
        description="Abstain where a smaller share of the answers agrees with the chosen one: "
        "0.7, or 0.7@16 as `nbest select --max-risk` prints it, for 16 samples a question.",
    )

    @model_validator(mode="before")
    @classmethod
    def _counts_stages(cls, data: object) -> object:
        """Take n from the stages of a cascade, unless it is there."""
        stages = data.get("cascade") if isinstance(data, dict) else None
        if not isinstance(stages, list | tuple) or not isinstance(data, dict) or "n" in data:
            return data
        counts = [stage.get("n") for stage in stages if isinstance(stage, dict)]
        numbers = [n for n in counts if type(n) is int and n >= 1]
        is_each = 0 < len(numbers) == len(stages)
        return data | {"n": sum(numbers)} if is_each else data

    @model_validator(mode="after")
    def _fits(self, info: ValidationInfo) -> Self:
        stops = {kind: value for kind in KINDS if (value := self._value(kind)) is not None}
        if len(stops) > 1:
            first, second, *_ = stops
            rule = f"be left out where there is a {first}"
            raise InputError(f"{second} must {rule}, got {stops[second]!r}")
        self.require_search()
        if self.tree is not None and self.ahead != type(self).model_fields["ahead"].default:
            rule = "stand in the plan of a search, as best_first(ahead=2)"
            raise InputError(f"ahead must {rule}, got {self.ahead}")
        threshold = read_threshold(self.min_confidence)
        if threshold.n is not None and stops:
            rule = f"name no number of samples with {next(iter(stops))}: that differs by question"
            raise InputError(f"min_confidence must {rule}, got {self.min_confidence!r}")
        threshold.require_samples(self.n, "strategy.n")
        if self.race is not None and threshold.share > 0:
            raise InputError(f"race must be left out with min_confidence, got {self.race!r}")
        built = self.build(Choice(select=MajorityVote()), objects_of(info))
        if isinstance(built, Cascade) and built.max_n != self.n:
            rule = f"be {built.max_n}, the samples of all stages of the cascade"
            raise InputError(f"n must {rule}, got {self.n}")
        return self

    @property
    def stages(self) -> tuple[int, ...]:
        """The samples of each stage of a cascade."""
        return tuple(stage.n for stage in self.cascade or ())

    @property
    def tree(self) -> str | None:
        """The key of the strategy whose samples are nodes of a tree; None where they are not."""
        return next((kind for kind in TREES if getattr(self, kind) is not None), None)

    @property
    def ratings(self) -> tuple[str, ...]:
        """The selectors that rate the nodes of a tree."""
        named = (self.score, self.revise and self.revise.score)
        return tuple(text for text in named if text)

    def _value(self, kind: str) -> object:
        """The value as the config has it; None where the config leaves it out."""
        value = getattr(self, kind)
        if isinstance(value, tuple):
            return [stage.model_dump(exclude_unset=True) for stage in value]
        return value.model_dump(exclude_unset=True) if isinstance(value, Section) else value

    def build(self, choice: Choice, objects: Objects, seed: int = 0) -> Sampling:
        """Build the strategy that is named, with the choice that all strategies share.

        `seed` is that of the run, for what a strategy draws at random.
        """
        if self.race is not None:
            valid = objects.get(build_validator, self.race)
            ahead = self.ahead if "ahead" in self.model_fields_set else None
            extract, params = choice.extract, choice.params
            return RaceToValid(n=self.n, rule=valid, ahead=ahead, extract=extract, params=params)
        choice = replace(choice, min_confidence=read_threshold(self.min_confidence).share)
        if self.tree is not None:
            return self._build_tree(choice, objects, seed)
        shared = choice.settings()
        if self.deep_conf is not None:
            settings = self.deep_conf.build()
            return DeepConf(max_n=self.n, ahead=self.ahead, **settings, **shared)
        if self.budget is not None:
            budget = BatchBudget(max_n=self.n, **self.budget.model_dump())
            return WithinBudget(budget=budget, **shared)
        if self.cascade is not None:
            return Cascade(stages=built_stages(self.cascade), **shared)
        if self.rule is not None:
            rule = objects.get(build_stop_rule, self.rule)
            return Adaptive(max_n=self.n, rule=rule, ahead=self.ahead, **shared)
        return BestOfN(n=self.n, **shared)

    def _build_tree(self, choice: Choice, objects: Objects, seed: int) -> Sampling:
        try:
            if self.revise is not None:
                return self.revise.build(self.n, choice, objects, seed)
            if self.corrected is not None:
                return self.corrected.build(self.n, choice, objects)
            if self.synthesis is not None:
                return self.synthesis.build(self.n, choice, seed)
            if self.budget_forcing is not None:
                return self.budget_forcing.build(self.n, choice)
        except InputError as error:
            raise InputError(f"{self.tree}.{error}") from error
        return self.build_search(self.n, choice, objects, seed)


def tree_named(strategy: object) -> str | None:
    """The key of a tree in the strategy of a stored config; None where it has none."""
    named = strategy if isinstance(strategy, dict) else {}
    return next((kind for kind in TREES if named.get(kind) is not None), None)


def built_stages(sections: Sequence[StageSection]) -> tuple[Stage, ...]:
    """Build the stages of a cascade; InputError where a threshold is of another number of samples.

    A threshold looks at all samples that have been drawn by then.
    """
    drawn, stages = 0, []
    for place, section in enumerate(sections):
        drawn += section.n
        where = f"cascade[{place}]"
        share = None
        if section.min_confidence is not None:
            threshold = read_threshold(section.min_confidence)
            threshold.require_samples(drawn, where)
            share = threshold.share
        if (share is None) != (place == len(sections) - 1):
            rule = "be given in all stages but the last, whose answer stands"
            got = section.min_confidence
            raise InputError(f"{where}.min_confidence must {rule}, got {got!r}")
        stages.append(Stage(n=section.n, min_confidence=share))
    return tuple(stages)


TREES = ("search", "revise", "corrected", "synthesis", "budget_forcing")
"""The keys of strategies whose samples are nodes of a tree."""

KINDS = ("rule", "race", "deep_conf", "cascade", "budget", *TREES)
"""The keys of a strategy that decide when to stop; a config sets one at most."""
