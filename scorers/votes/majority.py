"""Self-consistency: the answer that most samples agree on.

Wang et al. 2022 (arXiv 2203.11171). Answers are compared as the strings that an extractor made;
whether two strings mean the same is for an equivalence to say.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nbest.orchestrator.types import Candidates, Query, Scores


def vote_shares(answers: Sequence[str | None]) -> Scores:
    """[N] the share of the answers that equal each; nan for None, which is not counted at all.

    >>> vote_shares(["7", "8", None, "7", "9"]).tolist()
    [0.5, 0.25, nan, 0.5, 0.25]
    """
    counts = Counter(answers)
    voters = max(len(answers) - counts[None], 1)
    shares = {answer: count / voters for answer, count in counts.items()}
    shares[None] = math.nan
    return np.array([shares[answer] for answer in answers], np.float64)


def answer_totals(answers: Sequence[str | None], weights: Scores) -> Scores:
    """[N] the sum of the weights of all candidates that have the same answer.

    A weight of nan is no vote. Nan where nobody votes for the answer, and for None. The totals are
    correctly rounded, so the order does not matter.
    """
    votes: dict[str, list[float]] = {}
    for answer, weight in zip(answers, weights.tolist(), strict=True):
        if answer is not None and weight == weight:
            votes.setdefault(answer, []).append(weight)
    totals: dict[str | None, float] = {answer: math.fsum(cast) for answer, cast in votes.items()}
    return np.array([totals.get(answer, math.nan) for answer in answers], np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class MajorityVote:
    """Scores a candidate by the share of the votes that its answer has."""

    needs_logprobs: ClassVar[int | None] = None
    score_bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return vote_shares(candidates.answers)
