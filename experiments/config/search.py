"""The keys of a strategy that say how answers are searched, step by step.

They are inert: a search is built, and nothing is started.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from pydantic import Field

from nbest.experiments.config.objects import ExpressionText, Objects
from nbest.experiments.config.plugins import build_scorer
from nbest.experiments.config.sections import TokenIds
from nbest.experiments.language.expressions import Expression, parse_expression
from nbest.experiments.language.plugin_kind import PluginKind
from nbest.experiments.language.section import Section, Texts
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Scorer, is_pointwise
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.strategies.search.plan import PlanSettings
from nbest.orchestrator.strategies.search.search import Search
from nbest.orchestrator.strategies.search.steps import Step

PLANS = PluginKind(
    noun="search",
    group="nbest.searches",
    protocols=(PlanSettings,),
    methods=("plans", "n"),
    built_in={
        "beam": "nbest.orchestrator.strategies.search.levels:Beam",
        "dvts": "nbest.orchestrator.strategies.search.levels:DVTS",
        "rebase": "nbest.orchestrator.strategies.search.levels:Rebase",
        "particle_filter": "nbest.orchestrator.strategies.search.particles:ParticleFilter",
        "best_first": "nbest.orchestrator.strategies.search.best_first:BestFirst",
        "uct": "nbest.orchestrator.strategies.search.best_first:UCT",
    },
)


class StepSection(Section):
    """Where a step of an answer ends."""

    stop: Texts = Field(
        default=("\n\n",), description="A text, or a list of texts; a step keeps it."
    )
    stop_token_ids: TokenIds = Field(
        default=(), description="Token ids: the engine itself sees them, and ends sooner."
    )
    max_tokens: int = Field(
        default=256, ge=1, description="Of one step; a longer one goes on in the next."
    )
    final: str = Field(
        default="", description="A step with this text in it is the last one, as `Answer:`."
    )

    def build(self) -> Step:
        """Build the settings of a step."""
        return Step(
            stop=self.stop,
            stop_token_ids=self.stop_token_ids,
            max_tokens=self.max_tokens,
            final=self.final,
        )


class SearchSection(Section):
    """The keys of a strategy that say how answers are searched, step by step."""

    search: str | None = Field(
        default=None,
        description="How steps are chosen, as beam(width=4), dvts, rebase(temperature=0.2), "
        'particle_filter(target="ratio"), best_first or uct: n chains are grown, step by step.',
    )
    width: int | None = Field(
        default=None, ge=1, description="With a search: the children of a node that is kept."
    )
    score: ExpressionText | None = Field(
        default=None,
        description="With a search: the selector that rates an answer as far as it has come, as "
        "reward(model=...) or mean_logprob.",
    )
    step: StepSection | None = Field(default=None, description="With a search: where a step ends.")
    max_steps: int | None = Field(
        default=None, ge=1, description="With a search: steps of an answer, 40 by default."
    )
    lookahead: int | None = Field(
        default=None,
        ge=0,
        description="With a search: steps that are drawn greedily after each, and rated with it.",
    )

    def require_search(self) -> None:
        """Raise InputError where a key of a search is there without one, or one without a score."""
        if self.search is not None:
            if self.score is None:
                raise InputError("score must be given with a search: what rates its steps")
            return
        for key in ("width", "score", "step", "max_steps", "lookahead"):
            if getattr(self, key) is not None:
                raise InputError(f"{key} must be left out without a search")

    def build_search(self, n: int, choice: Choice, objects: Objects, seed: int) -> Search:
        """Build the search, with the choice that all strategies share."""
        assert self.search is not None
        assert self.score is not None
        given = {} if self.width is None else {"width": self.width}
        settings: dict[str, Any] = {"max_steps": self.max_steps, "lookahead": self.lookahead}
        return Search(
            plan=named_plan("search", self.search, {"n": n, **given}, trusted=objects.trusted),
            score=rating_scorer(self.score, objects),
            seed=seed,
            step=Step() if self.step is None else self.step.build(),
            **{key: value for key, value in settings.items() if value is not None},
            **choice.settings(),
        )


def rating_scorer(text: str, objects: Objects) -> Scorer:
    """The scorer that rates the nodes of a tree; InputError where it compares answers instead."""
    scorer = objects.get(build_scorer, text)
    if not is_pointwise(scorer):
        rule = "rate each answer by itself, as reward and mean_logprob do"
        raise InputError(f"score must {rule}, got {text!r}")
    return scorer


def named_plan(
    key: str,
    text: str,
    given: Mapping[str, int],
    kind: PluginKind = PLANS,
    *,
    trusted: bool = False,
) -> PlanSettings:
    """Build the plan in the setting `key`; InputError where it sets what the strategy gives it."""
    expression = parse_expression(text, trusted=trusted)
    for name in given:
        if name in expression.arguments:
            raise InputError(f"{key} must leave {name} to strategy.{name}, got {text!r}")
    return build_plan(expression, {**expression.arguments, **given}, kind)


def build_plan(
    expression: Expression, settings: Mapping[str, object], kind: PluginKind = PLANS
) -> PlanSettings:
    """Build the plan that an expression names, with these settings."""
    whole = replace(expression, arguments=settings)
    return cast("PlanSettings", kind.build_expression(whole))
