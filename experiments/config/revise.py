"""The keys of a strategy that go on after an answer or a thought: revision, synthesis, forcing.

They are inert: a strategy is built, and nothing is started.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from nbest.experiments.config.objects import ExpressionText, Objects
from nbest.experiments.config.plugins import build_validator
from nbest.experiments.config.search import PLANS, named_plan, rating_scorer
from nbest.experiments.language.section import Section
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.strategies.search.budget_forcing import BudgetForcing
from nbest.orchestrator.strategies.search.levels import DVTS
from nbest.orchestrator.strategies.search.plan import PlanSettings
from nbest.orchestrator.strategies.search.revise import CRITICISE, REVISE, Revise
from nbest.orchestrator.strategies.search.synthesis import WORDS, Synthesis

PLANS_OF_ANSWERS = replace(
    PLANS,
    built_in={
        **PLANS.built_in,
        "adaptive_branching": "nbest.orchestrator.strategies.search.branching:AdaptiveBranching",
    },
)


class ReviseSection(Section):
    """Answers that are revised with the last answer in view."""

    rounds: int = Field(default=3, ge=1, description="Revisions of an answer, at most.")
    plan: str | None = Field(
        default=None,
        description="Which answer is revised next, as beam(width=2) or adaptive_branching, by its "
        "score. Default: all n, apart from each other.",
    )
    score: ExpressionText | None = Field(
        default=None, description="With a plan: the selector that rates each answer, as judge."
    )
    critique: bool = Field(
        default=False, description="The model first says what is wrong with its answer."
    )
    rule: ExpressionText | None = Field(
        default=None, description="An answer that this validator passes is not revised, as json."
    )
    words: str = Field(
        default=REVISE, min_length=1, description="What is said to the model after its answer."
    )

    def build(self, n: int, choice: Choice, objects: Objects, seed: int) -> Revise:
        """Build the strategy, with the choice that all strategies share."""
        if (self.plan is None) != (self.score is None):
            given = self.plan or self.score
            raise InputError(f"plan must come with a score, and a score with a plan, got {given!r}")
        return Revise(
            plan=self._plan(n, objects),
            score=None if self.score is None else rating_scorer(self.score, objects),
            rounds=self.rounds,
            words=self.words,
            critique=CRITICISE if self.critique else "",
            rule=None if self.rule is None else objects.get(build_validator, self.rule),
            seed=seed,
            **choice.settings(),
        )

    def _plan(self, n: int, objects: Objects) -> PlanSettings:
        if self.plan is None:
            return DVTS(n=n, width=1)
        given, kind = {"n": n}, PLANS_OF_ANSWERS
        return named_plan("plan", self.plan, given, kind, trusted=objects.trusted)


class ForcingSection(Section):
    """Thoughts that are made longer, and ended by force at their budget."""

    end: int = Field(ge=0, description="The id of the token that ends a thought, as of </think>.")
    budget: int = Field(ge=1, description="Tokens of a thought, all its parts together.")
    waits: int = Field(default=1, ge=0, description="How often its end is put off, at most.")
    wait: str = Field(default="Wait", min_length=1, description="What is put in its place.")
    closing: str = Field(
        default="</think>\n\n", min_length=1, description="What ends a thought, at last."
    )

    def build(self, n: int, choice: Choice) -> BudgetForcing:
        """Build the strategy, with the choice that all strategies share."""
        return BudgetForcing(n=n, **self.model_dump(), **choice.settings())


class SynthesisSection(Section):
    """New answers that are made of several earlier ones."""

    k: int = Field(default=4, ge=1, description="Answers that are shown for a new one.")
    rounds: int = Field(default=1, ge=1, description="How often n new answers are made.")
    words: str = Field(default=WORDS, min_length=1, description="Said before the answers.")

    def build(self, n: int, choice: Choice, seed: int) -> Synthesis:
        """Build the strategy, with the choice that all strategies share."""
        return Synthesis(
            n=n, k=self.k, rounds=self.rounds, words=self.words, seed=seed, **choice.settings()
        )
