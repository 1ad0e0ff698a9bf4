"""The key of a strategy whose answers have to keep a rule."""

from __future__ import annotations

from pydantic import Field

from nbest.experiments.config.objects import ExpressionText, Objects
from nbest.experiments.config.plugins import build_validator
from nbest.experiments.language.section import Section
from nbest.orchestrator.protocols import Validator
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.strategies.search.corrected import CORRECT, Corrected
from nbest.scorers.structured.by_field import VoteByField
from nbest.scorers.validators.yaml import YamlValid


class CorrectedSection(Section):
    """Answers that are corrected where they break a rule, and then drawn anew."""

    rule: ExpressionText = Field(description='The validator, as json(schema="...", of=answer).')
    corrections: int = Field(
        default=1, ge=0, description="How often an answer is corrected with its faults in view."
    )
    retries: int = Field(
        default=2, ge=0, description="How often it is drawn again with another seed after that."
    )
    by_field: bool = Field(
        default=False,
        description="The answer is put together from the most frequent value of each field.",
    )
    half_free: bool = Field(
        default=False,
        description="With sampling.constraint: every second answer is drawn without it.",
    )
    words: str = Field(
        default=CORRECT, min_length=1, description="What is said after an answer and its faults."
    )

    def build(self, n: int, choice: Choice, objects: Objects) -> Corrected:
        """Build the strategy, with the choice that all strategies share."""
        rule = objects.get(build_validator, self.rule)
        return Corrected(
            n=n,
            rule=rule,
            corrections=self.corrections,
            retries=self.retries,
            compose=by_field_of(rule) if self.by_field else None,
            half_free=self.half_free,
            words=self.words,
            **choice.settings(),
        )


def by_field_of(rule: Validator) -> VoteByField:
    """The vote by field on answers that have to keep a rule: it reads YAML where the rule does."""
    if isinstance(rule, YamlValid):
        return VoteByField(language="yaml")
    return VoteByField()
