"""A race to the first valid sample, replayed: who would have won, and what losers had cost by then.

How long each sample took is stored. It was measured while its run drew all samples to their end: a
live race gives the engine room earlier, so it is no slower than its replay.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbest.experiments.analysis.replay.ahead import SampleCost
from nbest.experiments.analysis.replay.drawn import Drawn, Spent
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Scorer, Validator
from nbest.orchestrator.requirements import require
from nbest.scorers.validators.selectors import FirstValid


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedRace:
    """A race: the samples of a question begin at once, and the first to end that is valid wins.

    With `ahead`, at most that many are under way at any time: 1 retries until one is valid. It is
    compared with drawing all samples to their end and taking the first valid one.
    """

    rule: Validator
    ahead: int | None = None

    def __post_init__(self) -> None:
        if self.ahead is not None:
            require(self.ahead >= 1, "ahead", "be at least 1", self.ahead)

    @property
    def select(self) -> Scorer:
        """The choice from all samples, with which it is compared."""
        return FirstValid(rule=self.rule)

    async def outcomes(self, drawn: Sequence[Drawn]) -> list[Spent]:
        """Race each question by itself."""
        return [await self._outcome(question) for question in drawn]

    async def _outcome(self, drawn: Drawn) -> Spent:
        valid = ~np.isnan(await drawn.scores(self.select, len(drawn.order)))
        costs = drawn.costs()
        if not drawn.is_timed:
            raise InputError(
                f"race needs to know how long each sample took, and those of "
                f"{drawn.case.query.id!r} do not say it: they were not drawn by `nbest run`"
            )
        return won(drawn, valid, costs, self.ahead or len(costs))


def won(drawn: Drawn, valid: NDArray[np.bool_], costs: Sequence[SampleCost], ahead: int) -> Spent:
    """The end of a race in which `ahead` samples are under way until one is valid."""
    started = min(ahead, len(costs))
    begun = [0.0] * started  # when each sample began
    ends = [(cost.seconds, index) for index, cost in enumerate(costs[:started])]
    heapq.heapify(ends)
    answer, ended_s = None, 0.0
    while ends and answer is None:
        ended_s, index = heapq.heappop(ends)
        if valid[index]:
            answer = drawn.answers[index]
        elif len(begun) < len(costs):
            heapq.heappush(ends, (ended_s + costs[len(begun)].seconds, len(begun)))
            begun.append(ended_s)
    return Spent(
        answer=answer,
        samples=len(begun),
        tokens=sum(c.tokens_by(ended_s - at) for c, at in zip(costs, begun, strict=False)),
        seconds=ended_s,
    )
