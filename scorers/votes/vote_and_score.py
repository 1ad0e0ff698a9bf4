"""Votes and scores together: the one decides which answers may win, the other which one does."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.requirements import require, require_share
from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.baselines import First
from nbest.scorers.votes.majority import answer_totals, vote_shares
from nbest.scorers.votes.ranked import RankedBy


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfMajority(RankedBy):
    """Scores candidates as `by` does if their answer has at least `min_share` of the votes.

    Rare answers that fool a reward model never win (Di et al. 2025, "Best-of-Majority", arXiv
    2510.03199). Where no answer is that frequent, those with the most votes stand.

    Example: `BestOfMajority(by=RewardModel(VLLMReward("runs/verifier")), min_share=0.1)`
    """

    min_share: float = 0.1

    def __post_init__(self) -> None:
        require_share("min_share", self.min_share)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        scores = await self.by(query, candidates)
        shares = vote_shares(candidates.answers)
        most = np.fmax.reduce(shares) if len(shares) else 0.0
        return np.where(shares >= min(self.min_share, most), scores, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pessimistic(RankedBy):
    """Scores a candidate by the mean score of its answer, less a penalty for few samples.

    mean of `by` over the n candidates with the answer - alpha log(N) / (n + 1), with N votes in
    all: a lower bound on what the answer is worth, as in pessimism for offline decisions (Huang et
    al. 2025, arXiv 2503.21878, on best-of-N; the form of the penalty is our own proposal). The
    units of alpha are those of the score; at 0 it is the mean score of an answer.

    Example: `Pessimistic(by=RewardModel(VLLMReward("runs/verifier")), alpha=1.0)`
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        require(self.alpha >= 0, "alpha", "be 0 or more", self.alpha)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        scores = await self.ranked(query, candidates)
        votes = np.where(np.isnan(scores), np.nan, 1.0)
        counts = answer_totals(candidates.answers, votes)
        total = max(1, int(np.count_nonzero(~np.isnan(scores))))
        means = answer_totals(candidates.answers, scores) / counts
        return means - self.alpha * math.log(total) / (counts + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedVote:
    """Scores by votes if the winner has at least the share `threshold`, else as `otherwise` does.

    Uncertainty-routed chain of thought (Gemini Team 2023, arXiv 2312.11805, appendix) falls back
    to the greedy answer; the threshold is fitted on other questions. With `otherwise=First()` the
    first sample stands in for the greedy one.

    Example: `RoutedVote(threshold=0.5, otherwise=MeanLogprob())`
    """

    threshold: float
    otherwise: Scorer = field(default_factory=First)

    def __post_init__(self) -> None:
        require_share("threshold", self.threshold)

    @property
    def needs_logprobs(self) -> int | None:
        return self.otherwise.needs_logprobs

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        shares = vote_shares(candidates.answers)
        voters = shares[~np.isnan(shares)]
        if len(voters) and voters.max() >= self.threshold:
            return shares
        return await self.otherwise(query, candidates)
