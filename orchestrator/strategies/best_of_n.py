"""Sampling strategies: how many samples to draw, and which answer to give.

A strategy knows its sampler and its scorer; it cannot name an engine, a store or a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from nbest.orchestrator.protocols import Equivalence, Extractor, Sampler, Scorer
from nbest.orchestrator.query.fanout import draw
from nbest.orchestrator.query.selection import WholeText, candidates_from, select
from nbest.orchestrator.types import Query, SamplingParams, Selection, require, require_share


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN:
    """Draw n samples at once and take the one that scores best (Cobbe et al. 2021, section 4.2).

    With `MajorityVote` as `select` this is self-consistency (Wang et al. 2022).

    Example: `BestOfN(n=16, select=MajorityVote(), extract=LastNumber())`
    """

    n: int
    select: Scorer
    extract: Extractor = field(default_factory=WholeText)
    equivalence: Equivalence | None = None  # None: answers mean the same if they are the same text
    min_confidence: float = 0.0  # below it, it abstains
    params: SamplingParams = SamplingParams()

    def __post_init__(self) -> None:
        require(self.n >= 1, "n", "be at least 1", self.n)
        require_share("min_confidence", self.min_confidence)

    async def __call__(self, query: Query, sampler: Sampler) -> Selection:
        samples = await draw(sampler, range(self.n), self.sampling())
        among = await candidates_from(query, samples, self.extract, self.equivalence, sampler)
        return await select(query, among, self.select, self.min_confidence)

    def sampling(self) -> SamplingParams:
        """The parameters of a request; it asks for log-probabilities if the scorer needs them."""
        return sampling_for(self.select, self.params)


def sampling_for(scorer: Scorer, params: SamplingParams) -> SamplingParams:
    """The parameters, with the log-probabilities that the scorer needs."""
    needed, given = scorer.needs_logprobs, params.logprobs
    if needed is None or (given is not None and given >= needed):
        return params
    return replace(params, logprobs=needed)
