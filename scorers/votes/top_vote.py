"""A vote among those that a scorer ranks highest (Cobbe et al. 2021, arXiv 2110.14168, figure 7b).

There it does better than the best alone once there are many samples: a candidate that fools the
verifier is outvoted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.types import Candidates, Query, Scores, require
from nbest.scorers.votes.majority import answer_totals


@dataclass(frozen=True, slots=True, kw_only=True)
class TopVote:
    """Scores a candidate by the votes for its answer among the k that `by` ranks highest.

    Where scores tie at the k-th place, all of these share the places that are left: the order of
    the candidates does not matter. Candidates without a score do not vote.

    Example: `TopVote(by=RewardModel(VLLMReward("runs/verifier")), k=8)`
    """

    by: Scorer
    k: int

    def __post_init__(self) -> None:
        require(self.k >= 1, "k", "be at least 1", self.k)

    @property
    def needs_logprobs(self) -> int | None:
        return self.by.needs_logprobs

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        scores = await self.by(query, candidates)
        voters = np.array([answer is not None for answer in candidates.answers], np.bool_)
        weights = top_weights(np.where(voters, scores, np.nan), self.k)
        return answer_totals(candidates.answers, weights)


def top_weights(scores: Scores, k: int) -> Scores:
    """[N] 1 for those above the k-th highest, a share for those that tie with it, nan below.

    >>> top_weights(np.array([3.0, 1.0, 2.0, 2.0]), 2).tolist()
    [1.0, nan, 0.5, 0.5]
    """
    known = np.sort(scores[~np.isnan(scores)])
    if len(known) <= k:
        return np.where(np.isnan(scores), np.nan, 1.0)
    last = known[-k]
    above = int(np.count_nonzero(known > last))
    tied = int(np.count_nonzero(known == last))
    share = (k - above) / tied
    weights: Scores = np.select([scores > last, scores == last], [1.0, share], np.nan)
    return weights
