"""Several scorers that decide together: a panel of judges, criteria of one judge, mixed verifiers.

One judge has its own faults; judges that err in other ways cancel some of them (Verga et al. 2024,
arXiv 2404.18796).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nbest.orchestrator.protocols import Scorer, is_pointwise, score_bounds
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.votes.weighted import rank_weights

Combine = Literal["rank", "mean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Scores a candidate by the weighted mean of what several scorers give it.

    `combine="rank"` takes the rank of each number among the candidates with an answer, over their
    number, so scorers on different scales may sit together; `"mean"` takes the numbers themselves.

    Where one says nothing of a candidate, the others decide; a scorer that lacks its
    log-probabilities leaves it without a score.

    Example: `Ensemble(by=(Judge(), Judge(criterion="Is every step right?")), weights=(1, 2))`
    """

    by: tuple[Scorer, ...]
    weights: tuple[float, ...] = ()  # one a scorer; none: all alike
    combine: Combine = "rank"

    def __post_init__(self) -> None:
        require(len(self.by) >= 1, "by", "name at least one scorer", self.by)
        require(self.combine in ("rank", "mean"), "combine", "be rank or mean", self.combine)
        is_each = len(self.weights) in (0, len(self.by))
        require(is_each, "weights", f"be {len(self.by)}, one a scorer", self.weights)
        fit = all(0 < weight < math.inf for weight in self.weights)
        require(fit, "weights", "be above 0 and finite", self.weights)

    @property
    def needs_logprobs(self) -> int | None:
        """The most that any of the scorers needs."""
        needed = [k for scorer in self.by if (k := scorer.needs_logprobs) is not None]
        return max(needed, default=None)

    @property
    def is_pointwise(self) -> bool:
        """False by rank, which depends on the others."""
        return self.combine == "mean" and all(map(is_pointwise, self.by))

    @property
    def score_bounds(self) -> tuple[float, float]:
        """Those that a mean of the scorers' numbers keeps."""
        if self.combine == "rank":
            return 0.0, 1.0
        bounds = [score_bounds(scorer) or (-math.inf, math.inf) for scorer in self.by]
        return min(low for low, _ in bounds), max(high for _, high in bounds)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        weights = self.weights or (1.0,) * len(self.by)
        said = [self._numbers(candidates, await scorer(query, candidates)) for scorer in self.by]
        is_needed = [scorer.needs_logprobs is not None for scorer in self.by]
        columns = zip(*said, strict=True)
        return np.array([_mean(column, weights, is_needed) for column in columns], np.float64)

    def _numbers(self, candidates: Candidates, scores: Scores) -> Scores:
        if self.combine == "mean":
            return scores
        has_answer = np.array([answer is not None for answer in candidates.answers], np.bool_)
        return rank_weights(np.where(has_answer, scores, np.nan))


def _mean(numbers: Sequence[float], weights: Sequence[float], is_needed: Sequence[bool]) -> float:
    """The weighted mean of what was said of one candidate, exactly rounded: in any order the same.

    nan where nothing was said, where one that is needed said nothing, and between infinities.
    """
    said = list(zip(numbers, weights, is_needed, strict=True))
    if any(needed and math.isnan(number) for number, _, needed in said):
        return math.nan
    pairs = [(number, weight) for number, weight, _ in said if not math.isnan(number)]
    infinite = {number for number, _ in pairs if math.isinf(number)}
    if not pairs or len(infinite) > 1:
        return math.nan
    if infinite:
        return infinite.pop()
    return math.fsum(w * x for x, w in pairs) / math.fsum(w for _, w in pairs)
