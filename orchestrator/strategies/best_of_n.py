"""Best of N: a fixed number of samples, and the one that scores best.

A strategy knows its sampler and its scorer; it cannot name an engine, a store or a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

from nbest.orchestrator.protocols import Sampler
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.query.fanout import draw
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Query, Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN(Choice):
    """Draw n samples at once and take the one that scores best (Cobbe et al. 2021, section 4.2).

    With `MajorityVote` as `select` this is self-consistency (Wang et al. 2022).

    Example: `BestOfN(n=16, select=MajorityVote(), extract=LastNumber())`
    """

    n: int

    def __post_init__(self) -> None:
        Choice.__post_init__(self)
        require(self.n >= 1, "n", "be at least 1", self.n)

    async def __call__(self, query: Query, sampler: Sampler) -> Selection:
        samples = await draw(sampler, range(self.n), self.sampling())
        return await self.of(query, samples, sampler)
