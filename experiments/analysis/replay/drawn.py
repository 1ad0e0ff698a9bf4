"""One random order of the samples of a question, as a strategy that is replayed sees it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from nbest.experiments.analysis.accuracy import known_as
from nbest.experiments.analysis.replay.ahead import SampleCost
from nbest.experiments.runs.case import Case
from nbest.orchestrator.protocols import Scorer, is_pointwise
from nbest.orchestrator.query.selection import candidates_at
from nbest.orchestrator.types import Scores
from nbest.scorers.votes.majority import MajorityVote


class Spent(NamedTuple):
    """What became of a question, and what it cost."""

    answer: str | None  # None: it abstains
    samples: float  # that decided
    tokens: float  # of all that were started, up to their end
    seconds: float = math.nan  # from the first request to the answer, where that can be known
    counted: float | None = None  # tokens of the samples that decided; None: all did
    started: float | None = None  # samples, those that were aborted among them; None: all decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The samples of a question in an order; what was scored once need not be scored again."""

    case: Case
    order: Sequence[int]  # [n] places in the pool
    whole: Scores | None  # [N] the scores of all, where each depends on its candidate alone

    @property
    def answers(self) -> list[str | None]:
        """[n] The answers in this order."""
        return [self.case.candidates.answers[i] for i in self.order]

    def tokens(self, n: int) -> float:
        """The tokens generated for the first n."""
        samples = self.case.candidates.samples
        return float(sum(samples[i].generated_tokens for i in self.order[:n]))

    def tokens_upto(self) -> list[int]:
        """[n + 1] The tokens generated for the first 0, 1, ... n."""
        samples = self.case.candidates.samples
        return list(accumulate((samples[i].generated_tokens for i in self.order), initial=0))

    @property
    def is_timed(self) -> bool:
        """Whether all samples say how long they took."""
        samples = self.case.candidates.samples
        return all(samples[i].total_s > 0 for i in self.order)

    def costs(self) -> list[SampleCost]:
        """[n] What each sample takes; without seconds, one for each token, at least one."""
        samples = [self.case.candidates.samples[i] for i in self.order]
        if self.is_timed:
            return [SampleCost(s.generated_tokens, s.total_s, s.first_token_s) for s in samples]
        return [SampleCost(s.generated_tokens, max(1, s.generated_tokens)) for s in samples]

    def last_s(self) -> float:
        """The seconds until the last of them had ended."""
        samples = self.case.candidates.samples
        return max(samples[i].total_s for i in self.order)

    async def scores(self, scorer: Scorer, n: int) -> Scores:
        """[n] The scores of the first n, as if there were no others."""
        if self.whole is not None:
            return self.whole[list(self.order[:n])]
        return await scorer(self.case.query, candidates_at(self.case.candidates, self.order[:n]))

    async def spent(self, scorer: Scorer, n: int) -> Spent:
        """The answer and the cost if the first n are drawn and chosen from."""
        return Spent(answer=await self.answer(scorer, n), samples=float(n), tokens=self.tokens(n))

    async def answer(self, scorer: Scorer, n: int) -> str | None:
        """The choice among the first n; among equals the first wins, as in a live selection."""
        answers = self.answers[:n]
        if isinstance(scorer, MajorityVote):
            return _leader(answers)
        has_answer = np.array([answer is not None for answer in answers], np.bool_)
        scores = np.where(has_answer, await self.scores(scorer, n), math.nan)
        return None if np.isnan(scores).all() else answers[int(np.nanargmax(scores))]

    def right(self, answer: str | None, unknown: float = 0.0) -> float:
        """1 for a right answer, 0 for a wrong one and for none; nan where there is no gold answer.

        An answer at which the grader could not say is worth `unknown`.
        """
        if not self.case.is_graded:
            return math.nan
        return 0.0 if answer is None else known_as(self.case.verdicts[answer], unknown)

    def gain(self, answer: str | None, over: str | None, unknown: tuple[float, float]) -> float:
        """What an answer wins over another, where the grader could not say as if worth `unknown`.

        The same answer wins nothing, whatever it is worth.
        """
        if not self.case.is_graded:
            return math.nan
        if answer == over:
            return 0.0
        return self.right(answer, unknown[0]) - self.right(over, unknown[1])


async def pointwise_scores(scorer: Scorer, case: Case) -> Scores | None:
    """[N] The scores of the pool; None for a scorer that compares candidates."""
    if not is_pointwise(scorer):
        return None
    return await scorer(case.query, case.candidates)


def _leader(answers: Sequence[str | None]) -> str | None:
    """The winner of a vote: a counter keeps the order of the answers, and max takes the first."""
    counts = Counter(answer for answer in answers if answer is not None)
    return max(counts, key=counts.__getitem__, default=None)
