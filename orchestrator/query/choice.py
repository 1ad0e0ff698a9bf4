"""How an answer is chosen among samples: the part that all strategies share.

A strategy that ends with a selection inherits these settings and draws; a search over steps ends
with the same choice among its finished chains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, Self

from nbest.orchestrator.protocols import Equivalence, Extractor, ModelCalls, Scorer
from nbest.orchestrator.query.parts import require_part
from nbest.orchestrator.query.score_cache import with_score_cache
from nbest.orchestrator.query.selection import WholeText, candidates_from, select
from nbest.orchestrator.requirements import require_share
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Candidates, Query, Sample, Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Read an answer in each sample, merge those that mean the same, and take the best scored.

    Example: `await Choice(select=MajorityVote(), extract=LastNumber()).of(query, samples, calls)`
    """

    select: Scorer
    extract: Extractor = field(default_factory=WholeText)
    equivalence: Equivalence | None = None  # None: only equal texts mean the same
    min_confidence: float = 0.0  # it abstains if a smaller share of the answers agrees
    params: SamplingParams = SamplingParams()

    def __post_init__(self) -> None:
        require_part("select", self.select, "needs_logprobs")
        require_part("extract", self.extract)
        if self.equivalence is not None:
            require_part("equivalence", self.equivalence)
        require_share("min_confidence", self.min_confidence)

    async def of(self, query: Query, samples: Sequence[Sample], calls: ModelCalls) -> Selection:
        """The best of the samples; `calls` are for a scorer that asks a model."""
        return await self.of_candidates(query, await self.candidates(query, samples, calls))

    async def candidates(
        self, query: Query, samples: Sequence[Sample], calls: ModelCalls
    ) -> Candidates:
        """The samples as a scorer sees them: answers read and merged."""
        return await candidates_from(query, samples, self.extract, self.equivalence, calls)

    async def of_candidates(self, query: Query, candidates: Candidates) -> Selection:
        """The best of the candidates, or none if its confidence is too low."""
        return await select(query, candidates, self.select, self.min_confidence)

    def sampling(self) -> SamplingParams:
        """The parameters of a request, with the log-probabilities that the scorer needs."""
        return sampling_for(self.select, self.params)

    def caching(self) -> Self:
        """The same choice with caches, for one question that is looked at again and again.

        It reads every text once, and scores every sample once if the scorer looks at each alone.
        """
        return replace(self, extract=cache(self.extract), select=with_score_cache(self.select))

    def settings(self) -> dict[str, Any]:
        """The settings of the choice, by name: a strategy has these and settings of its own."""
        return {setting.name: getattr(self, setting.name) for setting in fields(Choice)}


def sampling_for(scorer: Scorer, params: SamplingParams) -> SamplingParams:
    """The parameters, with the log-probabilities that the scorer needs."""
    return params.with_logprobs(scorer.needs_logprobs)
