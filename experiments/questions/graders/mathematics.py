"""Grades mathematics by its meaning."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from nbest.experiments.questions.gold import Gold
from nbest.orchestrator.requirements import require
from nbest.scorers.equivalence.mathematics import MathEquivalence


@dataclass(frozen=True, slots=True, kw_only=True)
class Mathematics:
    """Right when the answer is the same mathematics as the gold answer: 1/2 and \\frac{2}{4}.

    An answer that cannot be read, or takes longer than `timeout_s`, is right only where it is
    written as the gold answer is.
    """

    timeout_s: float = 2.0
    _same: MathEquivalence = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        require(self.timeout_s > 0, "timeout_s", "be above 0", self.timeout_s)
        object.__setattr__(self, "_same", MathEquivalence(timeout_s=self.timeout_s))

    def __call__(self, answer: str | None, gold: Gold) -> float:
        if answer is None:
            return math.nan
        return float(
            answer.strip() == gold.answer.strip() or self._same.are_same(answer, gold.answer)
        )
