"""Adaptive sampling replayed: after how many samples of an order a rule would have stopped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from nbest.experiments.analysis.replay.ahead import bill_of
from nbest.experiments.analysis.replay.drawn import Drawn, Spent
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.requirements import require
from nbest.orchestrator.strategies.stop_on_scores import ScoreRule
from nbest.orchestrator.strategies.stop_on_votes import Margin, StopRule
from nbest.scorers.votes.majority import MajorityVote


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedAdaptive:
    """Adaptive sampling: the rule that stops it, and the scorer by which it then chooses.

    `ahead` samples are under way at any time, as in `Adaptive`: those that are when the rule stops
    are paid for up to then.
    """

    rule: StopRule | ScoreRule = field(default_factory=Margin)
    min_n: int = 2
    select: Scorer = field(default_factory=MajorityVote)
    ahead: int = 4

    def __post_init__(self) -> None:
        require(self.min_n >= 1, "min_n", "be at least 1", self.min_n)
        require(self.ahead >= 1, "ahead", "be at least 1", self.ahead)

    async def outcomes(self, drawn: Sequence[Drawn]) -> list[Spent]:
        """Draw of each question until the rule stops, and choose from these samples."""
        return [await self._outcome(question) for question in drawn]

    async def _outcome(self, drawn: Drawn) -> Spent:
        n = await self.stops_after(drawn)
        bill = bill_of(drawn.costs(), n, self.ahead)
        return Spent(
            answer=await drawn.answer(self.select, n),
            samples=float(n),
            tokens=bill.tokens,
            seconds=bill.ended_s if drawn.is_timed else math.nan,
            counted=drawn.tokens(n),
            started=float(bill.started),
        )

    async def stops_after(self, drawn: Drawn) -> int:
        """The number of samples, in their order, that it would have drawn."""
        answers, limit, rule = drawn.answers, len(drawn.order), self.rule
        if not isinstance(rule, ScoreRule):
            return next((n for n in range(self.min_n, limit) if rule(answers[:n], limit)), limit)
        for n in range(self.min_n, limit):
            if rule.stops_on(await drawn.scores(self.select, n), answers[:n], limit):
                return n
        return limit
