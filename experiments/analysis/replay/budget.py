"""A batch-wide budget replayed: it is given out in the same way, on stored answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nbest.experiments.analysis.replay.drawn import Drawn, Spent
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.strategies.budget import BatchBudget
from nbest.scorers.votes.majority import MajorityVote


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedBudget:
    """A budget: an average number of samples a question, or a number of tokens for all questions.

    The answers decide which question gets the next samples. One order of each question is a batch.
    """

    average: float | None = None
    tokens: int | None = None
    first_n: int = 3
    round_size: int = 64
    select: Scorer = field(default_factory=MajorityVote)

    def __post_init__(self) -> None:
        self._budget(max(self.first_n, int(self.average or 0) + 1))  # says what is wrong

    async def outcomes(self, drawn: Sequence[Drawn]) -> list[Spent]:
        """Give the budget out to the questions of a batch, and choose from what each got."""
        budget = self._budget(len(drawn[0].order))
        counts = [0] * len(drawn)
        answers, tokens = [d.answers for d in drawn], [d.tokens_upto() for d in drawn]
        while True:
            answers_so_far = [a[:n] for a, n in zip(answers, counts, strict=True)]
            spent = sum(t[n] for t, n in zip(tokens, counts, strict=True))
            next_questions = budget.next(answers_so_far, spent)
            if not next_questions:
                break
            for q in next_questions:
                counts[q] += 1
        return [await d.spent(self.select, n) for d, n in zip(drawn, counts, strict=True)]

    def _budget(self, max_n: int) -> BatchBudget:
        return BatchBudget(
            average=self.average,
            tokens=self.tokens,
            max_n=max_n,
            first_n=self.first_n,
            round_size=self.round_size,
        )
