"""A cascade replayed: which questions its first stages would have answered, and what that saves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from nbest.experiments.analysis.replay.drawn import Drawn, Spent
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.selection import candidates_at, choose
from nbest.orchestrator.requirements import require
from nbest.orchestrator.strategies.cascade import Stage, is_sure
from nbest.orchestrator.types import Selection
from nbest.scorers.votes.majority import MajorityVote


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedCascade:
    """A cascade: the samples of each stage, and how sure the answer must be that ends one.

    With `arms`, stage i takes its samples from those of `arms[i]`, so a panel that was drawn in
    turns shows what a cascade of its arms would cost. It is compared with the same choice from all.
    """

    n: tuple[int, ...]  # samples of each stage
    min_confidence: tuple[float, ...] = ()  # of each stage but the last
    arms: tuple[str, ...] = ()  # of each stage; none: the samples as they come
    select: Scorer = field(default_factory=MajorityVote)

    def __post_init__(self) -> None:
        require(len(self.n) >= 1 and min(self.n) >= 1, "n", "be at least 1 a stage", self.n)
        fits = len(self.min_confidence) == len(self.n) - 1
        rule = f"be {len(self.n) - 1}, one a stage but for the last"
        require(fits, "min_confidence", rule, self.min_confidence)
        require(len(self.arms) in (0, len(self.n)), "arms", "be one a stage", self.arms)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages as `Cascade` has them."""
        shares = (*self.min_confidence, None)
        return tuple(
            Stage(n=n, min_confidence=share) for n, share in zip(self.n, shares, strict=True)
        )

    async def outcomes(self, drawn: Sequence[Drawn]) -> list[Spent]:
        """Draw of each question stage after stage until its answer is sure enough."""
        return [await self._outcome(question) for question in drawn]

    async def _outcome(self, drawn: Drawn) -> Spent:
        seconds = 0.0 if drawn.is_timed else math.nan
        begun = 0
        for stage, order in zip(self.stages, self._orders(drawn), strict=True):
            so_far = replace(drawn, order=order)
            seconds += replace(drawn, order=order[begun:]).last_s()
            begun = len(order)
            selection = await self._selection(so_far)
            if is_sure(stage, selection):
                break
        return Spent(
            answer=selection.answer,
            samples=float(begun),
            tokens=so_far.tokens(begun),
            seconds=seconds,
        )

    async def _selection(self, drawn: Drawn) -> Selection:
        candidates = candidates_at(drawn.case.candidates, drawn.order)
        return choose(candidates, await drawn.scores(self.select, len(drawn.order)))

    def _orders(self, drawn: Drawn) -> Iterator[list[int]]:
        """The places of the samples up to the end of each stage."""
        taken: list[int] = []
        for place, n in enumerate(self.n):
            used = set(taken)
            rest = [i for i in drawn.order if i not in used]
            if self.arms:
                rest = [i for i in rest if drawn.case.arms[i] == self.arms[place]]
            if len(rest) < n:
                of = f" of arm {self.arms[place]!r}" if self.arms else ""
                rule = f"find {n} samples{of} in stage {place}"
                question = drawn.case.query.id
                raise InputError(f"cascade must {rule}; question {question!r} has {len(rest)} left")
            taken = [*taken, *rest[:n]]
            yield taken
