"""Scores that are computed once, for a strategy that looks at its samples again after each of them.

Looking at n samples costs n^2 scores otherwise: at 64 samples of a long trace that is more than the
engine's own work.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np

from nbest.orchestrator.protocols import Scorer, is_pointwise
from nbest.orchestrator.query.selection import candidates_at, score_candidates
from nbest.orchestrator.types import Candidates, Query, Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedScores:
    """A pointwise scorer that scores no candidate of a question twice.

    The key of a candidate is its sample and its answer: when more samples arrive, answers that mean
    the same may get another text.
    """

    by: Scorer
    cache: dict[tuple[str, str | None], float] = field(default_factory=dict, repr=False)

    is_pointwise: ClassVar[bool] = True

    @property
    def needs_logprobs(self) -> int | None:
        return self.by.needs_logprobs

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        ids = (sample.id for sample in candidates.samples)
        keys = list(zip(ids, candidates.answers, strict=True))
        new = [place for place, key in enumerate(keys) if key not in self.cache]
        if new:
            scores = await score_candidates(query, candidates_at(candidates, new), self.by)
            pairs = zip(new, scores.tolist(), strict=True)
            self.cache.update((keys[place], score) for place, score in pairs)
        return np.array([self.cache[key] for key in keys], np.float64)


def with_score_cache(scorer: Scorer) -> Scorer:
    """The same scorer for one question; its pointwise parts score each candidate once."""
    if is_pointwise(scorer):
        return CachedScores(by=scorer)
    instance: Any = scorer  # a plugin need not be a dataclass
    if not is_dataclass(instance):
        return scorer
    settings = {f.name: getattr(instance, f.name) for f in fields(instance) if f.init}
    caches: dict[str, Any] = {
        name: CachedScores(by=part) for name, part in settings.items() if is_pointwise(part)
    }
    return cast("Scorer", replace(cast("Any", instance), **caches)) if caches else scorer
