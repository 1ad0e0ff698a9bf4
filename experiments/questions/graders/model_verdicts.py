"""Grades by what a model has said of each answer: verdicts that a run holds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.graders.by_part import QueryGrader
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Query

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")

Verdicts = Mapping[str, Mapping[str, float]]
"""By question and answer: 1.0 right, 0.0 wrong, nan where the model's reply says neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVerdicts(QueryGrader):
    """Right where a model has said so, as `nbest grade RUN --name NAME` has stored it in the run.

    An answer of which the model has not been asked, or has said nothing that can be read, gets nan.
    """

    by: str
    verdicts: Verdicts | None = field(default=None, repr=False, hash=False)  # None: of no run

    def __post_init__(self) -> None:
        require_name("by", self.by)

    @property
    def needs_gold(self) -> bool:
        return False

    async def grade_each(
        self, query: Query, answers: Sequence[str], gold: Gold | None
    ) -> list[float]:
        said = self._said(query)
        return [said.get(answer, math.nan) for answer in answers]

    async def can_grade(self, query: Query, gold: Gold | None) -> bool:
        """Whether the model has been asked about the question."""
        return bool(self._said(query))

    def _said(self, query: Query) -> Mapping[str, float]:
        if self.verdicts is None:
            rule = "be read from a run: `nbest grade RUN` stores them there"
            raise InputError(f"grade: the verdicts of {self.by!r} must {rule}, got none")
        return self.verdicts.get(query.id, {})


def require_name(key: str, name: str) -> None:
    """Raise InputError unless verdicts may be stored under this name."""
    rule = f"be at most 80 letters, digits and any of . _ - ({NAME.pattern})"
    require(NAME.fullmatch(name) is not None, key, rule, name)
