"""A selector among the candidates that keep a rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nbest.orchestrator.protocols import Scorer, Validator
from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.validators.rules import without


@dataclass(frozen=True, slots=True, kw_only=True)
class AmongValid:
    """Scores the candidates that keep a rule as `by` does when there are no others.

    Example: `AmongValid(rule=JsonValid(), by=Shortest())`, the shortest valid one; with
    `by=MajorityVote()` only valid candidates vote.
    """

    rule: Validator
    by: Scorer

    @property
    def needs_logprobs(self) -> int | None:
        return self.by.needs_logprobs

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        is_valid = await self.rule(query, candidates)
        scores = await self.by(query, without(candidates, ~is_valid))
        return np.where(is_valid, scores, np.nan)
