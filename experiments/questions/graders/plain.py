"""Compares a chosen answer with the gold answer: 1.0 right, 0.0 wrong, nan ungraded.

Nan is no verdict: there is no answer to grade, or this grader cannot tell. It is counted by itself;
tables count it as wrong and say so, with an interval up to what they would be if it were right.

It knows no sample, no scorer and no dataset.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from nbest.experiments.questions.gold import Gold
from nbest.orchestrator.requirements import require
from nbest.scorers.answers.number import canonical_number
from nbest.scorers.equivalence.plain import exact_tolerance
from nbest.scorers.structured.fields import field_counts


class Grader(Protocol):
    """Says whether an answer is right.

    1. Returns 1.0, 0.0 or nan; nan for the answer None, which is an abstention.
    2. Never raises, whatever the text: a model wrote it.
    3. Equal arguments get equal verdicts, in any order.
    """

    def __call__(self, answer: str | None, gold: Gold) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """Right when the texts are equal but for white space around them, and case with `casefold`."""

    casefold: bool = False

    def __call__(self, answer: str | None, gold: Gold) -> float:
        if answer is None:
            return math.nan
        return float(self._plain(answer) == self._plain(gold.answer))

    def _plain(self, text: str) -> str:
        return text.strip().casefold() if self.casefold else text.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """Right when both are the same number, however spelled: 1,000 and 1000.0 and 1e3.

    Numbers that differ by at most `tolerance` are the same. A gold answer that is no
    number cannot be graded; an answer that is no number is wrong.
    """

    tolerance: float = 0.0

    def __post_init__(self) -> None:
        holds = 0 <= self.tolerance < math.inf
        require(holds, "tolerance", "be at least 0 and finite", self.tolerance)

    def __call__(self, answer: str | None, gold: Gold) -> float:
        right = canonical_number(gold.answer)
        if answer is None or right is None:
            return math.nan
        number = canonical_number(answer)
        if number is None or number == right or self.tolerance == 0:  # equal ones are spelled alike
            return float(number == right)
        return float(abs(Fraction(number) - Fraction(right)) <= exact_tolerance(self.tolerance))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Right when a JSON answer says at least these shares of fields rightly.

    `precision` is the share of the answer's fields that are right, `recall` that of the gold fields
    that the answer says rightly; with both at 1, the default, an answer says what is due and
    nothing else, whatever the order of lists. A gold answer without a field cannot be graded.

    Example: `Fields(precision=0.9, recall=0.8)`
    """

    precision: float = 1.0
    recall: float = 1.0

    def __post_init__(self) -> None:
        for key in ("precision", "recall"):
            require(0 <= getattr(self, key) <= 1, key, "lie in 0..1", getattr(self, key))

    def __call__(self, answer: str | None, gold: Gold) -> float:
        if answer is None:
            return math.nan
        counts = field_counts(answer, gold.answer)
        if counts.due == 0:
            return math.nan
        is_right = counts.precision >= self.precision and counts.recall >= self.recall
        return float(is_right)  # nothing was said: the precision is nan, and it is not right


@dataclass(frozen=True, slots=True, kw_only=True)
class Ungraded:
    """Gives no verdict: for questions without gold answers."""

    def __call__(self, answer: str | None, gold: Gold) -> float:
        return math.nan
