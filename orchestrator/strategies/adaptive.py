"""Adaptive sampling: easy questions get few samples, hard ones get many.

Whether to go on is decided by a rule that looks at the answers in the order of their indices, never
in the order in which they arrive: short answers come first, and often they are other answers than
long ones. A sample that comes out of turn waits; samples under way when the rule says stop are
aborted in their engines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nbest.orchestrator.protocols import ModelCalls, Sampler
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.query.fanout import draw_in_order
from nbest.orchestrator.query.selection import with_left_over
from nbest.orchestrator.requirements import require
from nbest.orchestrator.strategies.stop_on_scores import ScoreRule
from nbest.orchestrator.strategies.stop_on_votes import Margin, StopRule
from nbest.orchestrator.types import Query, Sample, Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive(Choice):
    """Draw samples until a rule is content with their answers, `max_n` at most, and choose.

    `ahead` samples are under way at any time: 1 wastes nothing and waits for each, more keep an
    engine busy and waste what is under way at the end. Which samples count does not depend on it:
    the first n in the order of their indices, n being what the rule says. So a run is repeated to
    the sample whatever the engines' pace, and a replay on stored samples says what a live run does.

    Example: `Adaptive(max_n=64, select=MajorityVote(), extract=LastNumber())`
    """

    max_n: int
    rule: StopRule | ScoreRule = field(default_factory=Margin)
    min_n: int = 2
    ahead: int = 4

    def __post_init__(self) -> None:
        Choice.__post_init__(self)
        require(self.max_n >= 1, "max_n", "be at least 1", self.max_n)
        require(self.min_n >= 1, "min_n", "be at least 1", self.min_n)
        require(self.ahead >= 1, "ahead", "be at least 1", self.ahead)

    async def __call__(self, query: Query, sampler: Sampler) -> Selection:
        caching = self.caching()

        async def is_enough(samples: Sequence[Sample]) -> bool:
            return await caching.is_enough(query, samples, sampler)

        indices = range(self.max_n)
        params = self.sampling()
        drawn, left_over = await draw_in_order(sampler, indices, params, self.ahead, is_enough)
        return with_left_over(await caching.of(query, drawn, sampler), left_over)

    async def is_enough(self, query: Query, samples: Sequence[Sample], calls: ModelCalls) -> bool:
        """Whether the rule is content with these samples, in the order of their indices.

        `calls` are for a scorer that asks a model, where the rule looks at scores.
        """
        if len(samples) < self.min_n:
            return False
        candidates = await self.candidates(query, samples, calls)
        if isinstance(self.rule, ScoreRule):
            scores = await self.select(query, candidates)
            return self.rule.stops_on(scores, candidates.answers, self.max_n)
        return self.rule(candidates.answers, self.max_n)
