"""A race to the first valid sample, all at once or one after another: for structured output.

With a share v of valid samples and n samples under way, the chance that a valid one has come by
time t is 1 - (1 - v F(t))^n, where F is the distribution of the time that a sample takes: many at
once cut the tail of the waiting time. One after another, until one is valid, they take (1 - (1 -
v)^n) / v samples in the mean, and none is drawn in vain.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbest.orchestrator.protocols import Extractor, Sampler, Validator
from nbest.orchestrator.query.selection import WholeText, read_answers
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.tasks import task_group
from nbest.orchestrator.types import Query, Sample, Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceToValid:
    """Draw n samples at once; the first that keeps the rule wins, the others are aborted.

    With `ahead`, at most that many are under way, and the next begins when one was not valid: 1 is
    a retry until valid. The losers' requests are aborted in their engines, and what they had cost
    is counted. The strategy abstains where none of the n is valid. Scores are 1 for the winner, 0
    for samples that came before and were not valid, nan for samples that were never looked at; the
    confidence is the share of valid samples among those that were looked at.

    Example: `RaceToValid(n=8, rule=JsonValid())`
    """

    n: int
    rule: Validator
    ahead: int | None = None  # samples under way at any time; None: all n
    extract: Extractor = field(default_factory=WholeText)
    params: SamplingParams = SamplingParams()

    def __post_init__(self) -> None:
        require(self.n >= 1, "n", "be at least 1", self.n)
        if self.ahead is not None:
            require(self.ahead >= 1, "ahead", "be at least 1", self.ahead)

    async def __call__(self, query: Query, sampler: Sampler) -> Selection:
        winner: int | None = None
        verdicts: dict[int, bool] = {}
        async with task_group() as group:
            draws: dict[asyncio.Task[Sample], int] = {}
            checks: dict[asyncio.Task[bool], int] = {}
            pending: set[asyncio.Task[Any]] = set()
            while winner is None and (pending or len(draws) < self.n):
                for index in range(len(draws), min(self.n, len(draws) + self._room(pending))):
                    draw = group.create_task(sampler(index, self.params))
                    draws[draw] = index
                    pending.add(draw)
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for draw in done & draws.keys():  # it is checked while others are still drawn
                    check = group.create_task(self._is_valid(query, draw.result()))
                    checks[check] = draws[draw]
                    pending.add(check)
                verdicts |= {checks[check]: check.result() for check in done & checks.keys()}
                winner = min((i for i, valid in verdicts.items() if valid), default=None)
            for check in pending & checks.keys():
                check.cancel()
            await asyncio.gather(*(sampler.abort(draws[draw]) for draw in pending & draws.keys()))
        samples = tuple(draw.result() for draw in draws)
        return self._selection(samples, verdicts, winner)

    def sampling(self) -> SamplingParams:
        """The parameters of a request."""
        return self.params

    def _room(self, pending: set[asyncio.Task[Any]]) -> int:
        """How many samples may begin now; one that is checked may be the last one."""
        return self.n if self.ahead is None else self.ahead - len(pending)

    async def _is_valid(self, query: Query, sample: Sample) -> bool:
        verdict = await self.rule(query, read_answers([sample], self.extract))
        return bool(verdict[0])

    def _selection(
        self, samples: tuple[Sample, ...], verdicts: dict[int, bool], winner: int | None
    ) -> Selection:
        scores = np.full(len(samples), np.nan)
        for index, valid in verdicts.items():
            scores[index] = float(valid)
        answer = None
        if winner is not None:
            answer = read_answers([samples[winner]], self.extract).answers[0]
        share = sum(verdicts.values()) / len(verdicts) if winner is not None else float("nan")
        return Selection(
            index=winner, answer=answer, samples=samples, scores=scores, confidence=share
        )
