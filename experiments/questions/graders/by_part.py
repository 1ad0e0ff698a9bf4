"""Graders made of equivalences and validators: what merges or checks answers can grade them, too.

grade: json                       right where it is the same JSON value as the gold answer
grade: sql_result(schema="...")   right where it has the same result as the gold query
grade: python_tests               right where the question's own tests pass; it needs no gold
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from nbest.experiments.questions.gold import Gold
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Equivalence, Validator
from nbest.orchestrator.query.parts import result_of
from nbest.orchestrator.types import Candidates, Query, Sample


class QueryGrader(ABC):
    """Grades the distinct answers to one question together.

    1. Returns [A] 1.0, 0.0 or nan, one for each answer.
    2. `needs_gold` says whether it can grade only where there is a gold answer.
    3. `can_grade` says whether it can tell right from wrong at a question, whatever is answered: a
       question at whose answers it fails counts, and one that it cannot grade at all does not.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def needs_gold(self) -> bool: ...

    @abstractmethod
    async def grade_each(
        self, query: Query, answers: Sequence[str], gold: Gold | None
    ) -> list[float]: ...

    @abstractmethod
    async def can_grade(self, query: Query, gold: Gold | None) -> bool: ...


def needs_gold(grade: object) -> bool:
    """Whether a grader can grade only where there is a gold answer."""
    return grade.needs_gold if isinstance(grade, QueryGrader) else True


@dataclass(frozen=True, slots=True, kw_only=True)
class SameMeaning(QueryGrader):
    """Right where an equivalence says that the answer means what the gold answer does.

    A gold answer that the equivalence cannot read, so that only the very same text is equal to it,
    grades nothing but that text.
    """

    equivalence: Equivalence

    @property
    def needs_gold(self) -> bool:
        return True

    async def grade_each(
        self, query: Query, answers: Sequence[str], gold: Gold | None
    ) -> list[float]:
        if gold is None:
            return [math.nan] * len(answers)
        right = gold.answer
        # What can be read does not change by a space at its end.
        texts = list(dict.fromkeys([right, f"{right} ", *answers]))
        groups = await result_of("grade", self.equivalence, query, texts)
        group_of = dict(zip(texts, groups, strict=True))
        is_read = group_of[right] == group_of[f"{right} "]
        wrong = 0.0 if is_read else math.nan
        return [1.0 if group_of[answer] == group_of[right] else wrong for answer in answers]

    async def can_grade(self, query: Query, gold: Gold | None) -> bool:
        """Whether there is a gold answer: its own text is right, whatever of others is known."""
        return gold is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Valid(QueryGrader):
    """Right where a rule says that the answer is valid, as `python_tests` does.

    Nan for a question at which the rule cannot be applied, as one that brings no tests.
    """

    rule: Validator

    @property
    def needs_gold(self) -> bool:
        return False

    async def grade_each(
        self, query: Query, answers: Sequence[str], gold: Gold | None
    ) -> list[float]:
        if not answers:
            return []
        samples = tuple(Sample(id=f"grade/{i}", text=text) for i, text in enumerate(answers))
        candidates = Candidates(samples=samples, answers=tuple(answers))
        try:
            flags = await result_of("grade", self.rule, query, candidates)
        except InputError:
            return [math.nan] * len(answers)
        return [float(flag) for flag in flags]

    async def can_grade(self, query: Query, gold: Gold | None) -> bool:
        """Whether the rule can be applied to the question: to no answer as to any."""
        (verdict,) = await self.grade_each(query, [""], gold)
        return not math.isnan(verdict)
