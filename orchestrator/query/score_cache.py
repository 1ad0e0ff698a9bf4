"""Scores that are computed once, for a strategy that looks at its samples again after each of them.

Looking costs n^2 otherwise: at 64 samples of a long trace that is more than the engine's own work.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np

from nbest.orchestrator.protocols import Scorer, is_pointwise
from nbest.orchestrator.query.selection import scored, taken
from nbest.orchestrator.types import Candidates, Query, Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedScores:
    """A scorer of candidates one by one that does not score the same one twice.

    For the samples of one question. A candidate is its sample and its answer, for answers that
    mean the same are named anew when more of them are there.
    """

    by: Scorer
    known: dict[tuple[str, str | None], float] = field(default_factory=dict, repr=False)

    is_pointwise: ClassVar[bool] = True

    @property
    def needs_logprobs(self) -> int | None:
        return self.by.needs_logprobs

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        ids = (sample.id for sample in candidates.samples)
        keys = list(zip(ids, candidates.answers, strict=True))
        new = [place for place, key in enumerate(keys) if key not in self.known]
        if new:
            scores = await scored(query, taken(candidates, new), self.by)
            pairs = zip(new, scores.tolist(), strict=True)
            self.known.update((keys[place], score) for place, score in pairs)
        return np.array([self.known[key] for key in keys], np.float64)


def cached(scorer: Scorer) -> Scorer:
    """The same scorer, for one question: what in it scores candidates one by one does so once."""
    if is_pointwise(scorer):
        return CachedScores(by=scorer)
    made: Any = scorer  # a plugin need not be a dataclass
    if not is_dataclass(made):
        return scorer
    parts = {each.name: getattr(made, each.name) for each in fields(made) if each.init}
    pointwise = {k: v for k, v in parts.items() if is_pointwise(v)}
    again: dict[str, Any] = {name: CachedScores(by=part) for name, part in pointwise.items()}
    return cast("Scorer", replace(cast("Any", made), **again)) if again else scorer
