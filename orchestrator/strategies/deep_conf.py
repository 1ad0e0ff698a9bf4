"""DeepConf online: samples that the model is unsure of are ended while it writes them.

Fu et al. 2025, "Deep Think with Confidence" (arXiv 2508.15260), section 3.2 and algorithm 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from nbest.orchestrator.protocols import ModelCalls, Sampler, Scorer
from nbest.orchestrator.query.choice import Choice, sampling_for
from nbest.orchestrator.query.fanout import draw, draw_in_order
from nbest.orchestrator.query.score_cache import with_score_cache
from nbest.orchestrator.query.selection import with_left_over
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import ConfidenceFloor, SamplingParams
from nbest.orchestrator.strategies.stop_on_scores import WeightedConsensus
from nbest.orchestrator.types import Candidates, Query, Sample, Scores, Selection


class LowestConfidence(Scorer, Protocol):
    """A scorer whose score is that of the least confident window of a sample."""

    @property
    def window(self) -> int: ...

    @property
    def k(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepConf(Choice):
    """Draw `warm_up` samples whole; end the others where they are less sure than those were.

    The level is the quantile of the lowest confidence of the warm-up samples that `keep` of them
    reach: 0.9 ends few, 0.1 ends most ("high" and "low" in the paper). A sample falls when the mean
    over a whole window is below it; the engine ends it there, and it has no vote, as a warm-up
    sample below the level has none. Sampling ends when the leader has `share` of the weight.

    The vote is `select`; `by` gives the lowest confidence of a window, by `window` positions and
    the `k` likeliest tokens.

    Example: `DeepConf(max_n=64, by=Confidence(measure="lowest"),
    select=WeightedVote(by=Confidence(measure="bottom")), extract=LastNumber())`
    """

    max_n: int
    by: LowestConfidence
    warm_up: int = 16
    keep: float = 0.9
    share: float = 0.95
    ahead: int = 4

    def __post_init__(self) -> None:
        Choice.__post_init__(self)
        rule = f"lie in 1..{self.max_n}, the most samples of a question"
        require(1 <= self.warm_up <= self.max_n, "warm_up", rule, self.warm_up)
        require(0 < self.keep < 1, "keep", "lie in (0, 1)", self.keep)
        require(0.5 < self.share <= 1, "share", "lie in (0.5, 1]", self.share)
        require(self.ahead >= 1, "ahead", "be at least 1", self.ahead)

    async def __call__(self, query: Query, sampler: Sampler) -> Selection:
        vote = _ConfidentVote(
            strategy=self.caching(),
            query=query,
            calls=sampler,
            lowest=with_score_cache(self.by),
        )
        warm = await draw(sampler, range(self.warm_up), self.sampling())
        level = await vote.level(warm)
        left_over: list[Sample] = []
        drawn = list(warm)

        async def is_enough(more: Sequence[Sample]) -> bool:
            return await vote.agrees([*warm, *more], level)

        if not await is_enough(()):
            params = self.sampling(level)
            rest = range(self.warm_up, self.max_n)
            more, left_over = await draw_in_order(sampler, rest, params, self.ahead, is_enough)
            drawn += more
        voters = await vote.voters(drawn, level)
        selection = await vote.strategy.of_candidates(query, voters)
        return with_left_over(selection, left_over)

    def sampling(self, level: float = -math.inf) -> SamplingParams:
        """The parameters of a request, with a floor at the level if that is finite."""
        params = sampling_for(self.by, Choice.sampling(self))
        if math.isinf(level):
            return params
        floor = ConfidenceFloor(level=level, window=self.by.window, k=self.by.k)
        return replace(params, floor=floor)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ConfidentVote:
    """The vote on one question, which reads and scores each of its samples only once."""

    strategy: DeepConf  # one that caches
    query: Query
    calls: ModelCalls
    lowest: Scorer

    async def level(self, warm: Sequence[Sample]) -> float:
        """The level below which the samples after these are ended."""
        candidates = await self._candidates(warm)
        return lowest_allowed(await self.lowest(self.query, candidates), self.strategy.keep)

    async def agrees(self, samples: Sequence[Sample], level: float) -> bool:
        """Whether the leading answer has its share of the weight."""
        candidates = await self.voters(samples, level)
        scores = await self.strategy.select(self.query, candidates)
        rule = WeightedConsensus(share=self.strategy.share, warm_up=self.strategy.warm_up)
        return rule.stops_on(scores, candidates.answers, self.strategy.max_n)

    async def voters(self, samples: Sequence[Sample], level: float) -> Candidates:
        """The candidates, without the answers of those below the level."""
        candidates = await self._candidates(samples)
        lowest = await self.lowest(self.query, candidates)
        pairs = zip(candidates.answers, lowest.tolist(), strict=True)
        return replace(candidates, answers=tuple(None if c < level else a for a, c in pairs))

    async def _candidates(self, samples: Sequence[Sample]) -> Candidates:
        return await self.strategy.candidates(self.query, samples, self.calls)


def lowest_allowed(lowest: Scores, keep: float) -> float:
    """The level that a share `keep` of these reaches; minus infinity where none is known."""
    finite = lowest[np.isfinite(lowest)]
    return float(np.quantile(finite, 1 - keep)) if len(finite) else -math.inf
