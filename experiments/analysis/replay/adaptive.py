"""Adaptive sampling replayed: after how many samples of an order a rule would have stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nbest.experiments.analysis.replay.drawn import Drawn, Spent
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.strategies.stop_on_scores import ScoreRule
from nbest.orchestrator.strategies.stop_on_votes import Margin, StopRule
from nbest.orchestrator.types import require
from nbest.scorers.votes.majority import MajorityVote


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedAdaptive:
    """Adaptive sampling: the rule that stops it, and the scorer by which it then chooses."""

    rule: StopRule | ScoreRule = field(default_factory=Margin)
    min_n: int = 2
    select: Scorer = field(default_factory=MajorityVote)

    def __post_init__(self) -> None:
        require(self.min_n >= 1, "min_n", "be at least 1", self.min_n)

    async def outcomes(self, drawn: Sequence[Drawn]) -> list[Spent]:
        """Draw of each question until the rule stops, and choose from these samples."""
        return [await d.spent(self.select, await self.stops_after(d)) for d in drawn]

    async def stops_after(self, drawn: Drawn) -> int:
        """The number of samples, in their order, that it would have drawn."""
        answers, limit, rule = drawn.answers, len(drawn.order), self.rule
        if not isinstance(rule, ScoreRule):
            return next((n for n in range(self.min_n, limit) if rule(answers[:n], limit)), limit)
        for n in range(self.min_n, limit):
            if rule.stops_on(await drawn.scores(self.select, n), answers[:n], limit):
                return n
        return limit
