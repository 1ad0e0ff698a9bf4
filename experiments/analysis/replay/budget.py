"""A batch-wide budget replayed: the same giving out of samples, on stored answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nbest.experiments.analysis.replay.drawn import Drawn, Spent
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.strategies.budget import BatchBudget
from nbest.scorers.votes.majority import MajorityVote


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedBudget:
    """So many samples a question on average, or so many tokens of all; which question gets them is
    decided as they come.

    On stored samples one order of each question makes a batch.
    """

    average: float | None = None
    tokens: int | None = None
    first_n: int = 3
    round_size: int = 64
    select: Scorer = field(default_factory=MajorityVote)

    def __post_init__(self) -> None:
        self._budget(max(self.first_n, int(self.average or 0) + 1))  # says what is wrong

    async def outcomes(self, drawn: Sequence[Drawn]) -> list[Spent]:
        """Of a batch."""
        budget = self._budget(len(drawn[0].order))
        counts = [0] * len(drawn)
        answers, tokens = [each.answers for each in drawn], [each.tokens_upto() for each in drawn]
        while True:
            given = [a[:n] for a, n in zip(answers, counts, strict=True)]
            spent = sum(t[n] for t, n in zip(tokens, counts, strict=True))
            wanted = budget.next(given, spent)
            if not wanted:
                break
            for q in wanted:
                counts[q] += 1
        return [await each.spent(self.select, n) for each, n in zip(drawn, counts, strict=True)]

    def _budget(self, max_n: int) -> BatchBudget:
        return BatchBudget(
            average=self.average,
            tokens=self.tokens,
            max_n=max_n,
            first_n=self.first_n,
            round_size=self.round_size,
        )
