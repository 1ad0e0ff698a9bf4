"""A vote in which some candidates count for more than others.

Weights come from any scorer, by a named transform: scores are no weights by themselves. Added up
raw, negative ones make support a burden: three times -1 would lose to one -2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import is_pointwise, score_bounds
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.votes.majority import answer_totals
from nbest.scorers.votes.ranked import RankedBy, tie_groups

Transform = Literal["raw", "rank", "softmax", "log_odds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedVote(RankedBy):
    """Scores a candidate by what the weights of all candidates with its answer add up to.

    `by` gives a number to each candidate, and `transform` makes a weight of it:

    - `raw`: the number itself, which must be finite and at least 0 (weighted best-of-N: Li et al.
      2022, arXiv 2206.02336; Snell et al. 2024, arXiv 2408.03314).
    - `rank`: its rank over the number of votes, in (0, 1]; ties share the mean. Needs no scale.
    - `softmax`: exp(number / temperature), made to sum to 1 over the candidates (Taubenfeld et al.
      2025, arXiv 2502.06233, for confidences).
    - `log_odds`: log(p / (1 - p)) of a probability in (0, 1), the best weights for voters who err
      independently (Nitzan and Paroush 1982). A vote from one that is likelier wrong than right
      counts against its answer, so here more support can lose.

    With the other three, more support never loses. Where `by` says nan there is no vote.

    Example: `WeightedVote(by=MeanLogprob(), transform="softmax", temperature=0.5)`
    """

    transform: Transform = "raw"
    temperature: float = 1.0  # of softmax

    def __post_init__(self) -> None:
        rule = f"be one of {', '.join(_WEIGHTS)}"
        require(self.transform in _WEIGHTS, "transform", rule, self.transform)
        require(self.temperature > 0, "temperature", "be above 0", self.temperature)
        least, greatest = score_bounds(self.by) or (0.0, 1.0)  # one that is silent may fit
        rule = (
            f"be rank or softmax with scores from {least:g} to {greatest:g}, as {self.by!r} gives"
        )
        require(self.transform != "raw" or least >= 0, "transform", rule, self.transform)
        is_probability = least >= 0 and greatest <= 1
        require(self.transform != "log_odds" or is_probability, "transform", rule, self.transform)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        weights = self._weights(await self.ranked(query, candidates))
        return answer_totals(candidates.answers, weights)

    async def lasting_weights(self, query: Query, candidates: Candidates) -> Scores | None:
        """[N] weights that decide a vote among any of the candidates, too; nan is no vote.

        None where they depend on who else is there: by rank, or where `by` compares candidates.
        Softmax divides all weights of a vote by the same sum, which decides nothing.
        """
        if self.transform == "rank" or not is_pointwise(self.by):
            return None
        return self._weights(await self.by(query, candidates))

    def _weights(self, scores: Scores) -> Scores:
        if self.transform == "softmax":
            return softmax(scores / self.temperature)
        return _WEIGHTS[self.transform](scores)


def softmax(scores: Scores) -> Scores:
    """[N] exp of each score over the sum of exp; nan stays nan and takes no part."""
    numbers = scores[~np.isnan(scores)]
    if not len(numbers):
        return scores
    highest: float = np.max(numbers).item()
    if math.isinf(highest):  # those that are infinitely good share everything
        best = np.where(scores == highest, 1.0, 0.0)
        return np.where(np.isnan(scores), np.nan, best / np.count_nonzero(best))
    powers: Scores = np.exp(scores - highest)
    # Correctly rounded, for the sum must not depend on the order of the candidates.
    total = math.fsum(powers[~np.isnan(powers)].tolist())
    return powers / total


def rank_weights(scores: Scores) -> Scores:
    """[N] the mean rank, 1 for the lowest, over the number of scores; nan stays nan."""
    lower, equal = tie_groups(scores)
    count = int(np.count_nonzero(~np.isnan(scores)))
    ranks: Scores = (lower + (equal + 1) / 2) / max(count, 1)
    return np.where(np.isnan(scores), np.nan, ranks)


def raw_weights(scores: Scores) -> Scores:
    """The scores; InputError where one is negative or infinite."""
    rule = "be finite and at least 0 to be added up as they are (transform rank or softmax)"
    _require_all(scores, np.isfinite(scores) & (scores >= 0), rule)
    return scores


def log_odds(scores: Scores) -> Scores:
    """[N] log(p / (1 - p)); InputError where one is no probability, or is 0 or 1."""
    rule = "be probabilities above 0 and below 1 for transform log_odds"
    _require_all(scores, (scores > 0) & (scores < 1), rule)
    odds: Scores = np.log(scores) - np.log1p(-scores)
    return odds


def _require_all(scores: Scores, fits: NDArray[np.bool_], rule: str) -> None:
    wrong = scores[~(fits | np.isnan(scores))]
    if len(wrong):
        raise InputError(f"by: scores must {rule}, got {wrong.min().item()!r}")


_WEIGHTS: Mapping[Transform, Callable[[Scores], Scores]] = {
    "raw": raw_weights,
    "rank": rank_weights,
    "softmax": softmax,
    "log_odds": log_odds,
}
