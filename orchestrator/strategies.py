"""Sampling strategies: how many samples to draw, and which answer to give.

A strategy knows its sampler and its scorer; it cannot name an engine, a store or a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from orchestrator.fanout import draw
from orchestrator.selection import WholeText, read_answers, select
from orchestrator.types import (
    Extractor,
    Query,
    Sampler,
    SamplingParams,
    Scorer,
    Selection,
    require,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN:
    """Draw n samples at once and take the one that scores best (Cobbe et al. 2021, section 4.2).

    With `MajorityVote` as `select` this is self-consistency (Wang et al. 2022).

    Example: `BestOfN(n=16, select=MajorityVote(), extract=LastNumber())`
    """

    n: int
    select: Scorer
    extract: Extractor = field(default_factory=WholeText)
    params: SamplingParams = SamplingParams()

    def __post_init__(self) -> None:
        require(self.n >= 1, "n", "be at least 1", self.n)

    async def __call__(self, query: Query, sampler: Sampler) -> Selection:
        samples = await draw(sampler, range(self.n), self.sampling())
        return await select(query, read_answers(samples, self.extract), self.select)

    def sampling(self) -> SamplingParams:
        """The parameters of a request; it asks for log-probabilities if the scorer needs them."""
        if self.select.needs_logprobs and self.params.logprobs is None:
            return replace(self.params, logprobs=0)
        return self.params
