"""A race to the first valid sample, replayed: who would have won, and what losers had cost by then.

How long each sample took is stored. It was measured while its run drew all samples to their end: a
live race gives the engine room earlier, so it is no slower than its replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nbest.experiments.analysis.replay.drawn import Drawn, Spent
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Scorer, Validator
from nbest.scorers.validators.selectors import FirstValid


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedRace:
    """A race: the samples of a question begin at once, and the first to end that is valid wins.

    It is compared with drawing all samples to their end and taking the first valid one.
    """

    rule: Validator

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
        seconds = np.array([cost.seconds for cost in costs])
        if not valid.any():
            tokens = drawn.tokens(len(costs))
            last_s = float(seconds.max())
            return Spent(answer=None, samples=len(costs), tokens=tokens, seconds=last_s)
        winner = int(np.where(valid, seconds, np.inf).argmin())
        ended_s = float(seconds[winner])
        return Spent(
            answer=drawn.answers[winner],
            samples=len(costs),
            tokens=sum(cost.tokens_by(ended_s) for cost in costs),
            seconds=ended_s,
        )
