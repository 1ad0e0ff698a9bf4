"""A model compares candidates two by two: pairwise judging (Zheng et al. 2023, arXiv 2306.05685).

The judge is the model that made the candidates, or another model of the run. Each of the different
texts is one entrant. How many calls it takes at most is known before the first one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from nbest.orchestrator.protocols import NamedModel
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.judges.distinct import By, distinct
from nbest.scorers.judges.judge import judging_params, mean_of_readable
from nbest.scorers.judges.pairwise import NAME, Pair, PairwiseJudge
from nbest.scorers.judges.prompt import ask_of, require_named
from nbest.scorers.judges.rankings import bradley_terry, knockout

RING = 2  # opponents of an entrant that meets its neighbours on a circle
KINDS = ("knockout", "league", "bradley_terry", "pivots")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tournament:
    """Scores a candidate by how it fares against the others.

    - `knockout`: rounds survived, and the margin of the last match; D - 1 pairs of D entrants.
    - `league`: the mean preference over it and its opponents, from 0 to 1.
    - `bradley_terry`: the log-strength that explains all comparisons best.
    - `pivots`: the same, of fewer comparisons: each entrant meets its two neighbours on a circle,
      and then the `pivots` strongest ones, about D (1 + k) pairs with k pivots.

    In a league and in `bradley_terry` every entrant meets all others, or with `opponents`, an even
    number, that many.
    With `swap` every pair is asked about in both orders, and a judge that only sees the order ties
    all in a league; a knockout has to send one of the two on, chosen by a hash of the texts.
    Without `swap` such a hash decides which stands first. A comparison that failed or cannot be
    read is left out; an entrant without any gets nan.

    `by="answer"` lets one text stand for each different answer, which takes far fewer calls.

    Example: `Tournament(kind="league", opponents=4)`
    """

    needs_logprobs: ClassVar[int | None] = None

    kind: Literal["knockout", "league", "bradley_terry", "pivots"] = "knockout"
    opponents: int | None = None
    pivots: int | None = None  # how many; None: 2 of the kind `pivots`
    swap: bool = True
    criterion: str = "Compare how right and how complete the responses are."
    by: By = "text"
    reads_reasoning: bool = False  # shows what the model thought before it answered, too
    params: SamplingParams = field(default_factory=judging_params)
    model: NamedModel | None = None  # which model it asks; None: the one that made the candidates

    def __post_init__(self) -> None:
        if self.model is not None:
            require_named(self.model)
        require(self.kind in KINDS, "kind", f"be one of {', '.join(KINDS)}", self.kind)
        require(bool(self.criterion.strip()), "criterion", "hold a text", self.criterion)
        if self.opponents is not None:
            rule = "be null in a knockout and with pivots, where nobody chooses"
            require(self.kind not in ("knockout", "pivots"), "opponents", rule, self.opponents)
            is_even = self.opponents >= 2 and self.opponents % 2 == 0
            require(is_even, "opponents", "be even, and at least 2", self.opponents)
        if self.pivots is not None:
            require(self.kind == "pivots", "pivots", "be null but of the kind pivots", self.pivots)
            require(self.pivots >= 1, "pivots", "be at least 1", self.pivots)

    @property
    def asks_model(self) -> bool:
        """Whether it asks the model that made the candidates."""
        return self.model is None

    def num_calls(self, n_distinct: int) -> int:
        """The number of calls that it takes to score `n_distinct` different candidates.

        With pivots, at most: fewer where no two of them are neighbours.
        """
        if self.kind == "knockout":
            pairs = max(0, n_distinct - 1)
        elif self.kind == "pivots":
            pairs = pivot_pairs(n_distinct, self._num_pivots)
        else:
            pairs = len(schedule(n_distinct, self.opponents))
        return pairs * (2 if self.swap else 1)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        ask = ask_of(candidates, NAME, self.model)
        groups = distinct(candidates, self.by, self.reads_reasoning)
        judge = PairwiseJudge(
            query=query,
            texts=groups.texts,
            criterion=self.criterion,
            swap=self.swap,
            ask=ask,
            params=self.params,
        )
        return groups.spread(await self._scores(judge))

    @property
    def _num_pivots(self) -> int:
        return 2 if self.pivots is None else self.pivots

    async def _scores(self, judge: PairwiseJudge) -> Scores:
        num = len(judge.texts)
        if num == 1:
            return np.zeros(1)  # there is nothing to compare it with
        if self.kind == "knockout":
            return await knockout(num, judge.margins)
        pairs = schedule(num, RING if self.kind == "pivots" else self.opponents)
        margins = await judge.margins(pairs)
        if self.kind == "pivots":
            more = against_pivots(strengths(num, pairs, margins), pairs, self._num_pivots)
            pairs, margins = pairs + more, margins + await judge.margins(more)
        if self.kind == "league":
            return league(num, pairs, margins)
        return strengths(num, pairs, margins)


def schedule(num: int, opponents: int | None) -> list[Pair]:
    """The pairs that meet: all of them, or neighbours on a circle, `opponents` for each entrant.

    The circle connects all entrants, so all can be compared.
    """
    if opponents is None or opponents >= num - 1:
        return [(i, j) for i in range(num) for j in range(i + 1, num)]
    return [(i, (i + step) % num) for step in range(1, opponents // 2 + 1) for i in range(num)]


def pivot_pairs(num: int, pivots: int) -> int:
    """How many pairs meet at most, round the circle and against the pivots."""
    ring, k = len(schedule(num, RING)), min(pivots, num)
    of_pivots = k * (num - k) + k * (k - 1) // 2
    have_met = k + 1 if num > RING and k < num else ring  # at least: all pivots in a row
    return ring + of_pivots - have_met


def against_pivots(strengths_D: Scores, met: Sequence[Pair], pivots: int) -> list[Pair]:
    """The pairs of the strongest entrants with all others that have not met yet.

    Entrants without a verdict are no pivots before all others; ties go to the lower number.
    """
    order = np.argsort(-np.nan_to_num(strengths_D, nan=-np.inf), kind="stable")
    chosen = sorted(map(int, order[:pivots]))
    known = {frozenset(pair) for pair in met}
    pairs: list[Pair] = []
    for pivot in chosen:
        for other in range(len(strengths_D)):
            if other != pivot and frozenset((pivot, other)) not in known:
                known.add(frozenset((pivot, other)))
                pairs.append((pivot, other))
    return pairs


def league(num: int, pairs: Sequence[Pair], margins: Sequence[float]) -> Scores:
    """[D] the mean preference over one's opponents; nan without any verdict."""
    preferences: list[list[float]] = [[] for _ in range(num)]
    for (i, j), margin in zip(pairs, margins, strict=True):
        preferences[i].append(0.5 + margin)
        preferences[j].append(0.5 - margin)
    return np.array(list(map(mean_of_readable, preferences)), np.float64)


def strengths(num: int, pairs: Sequence[Pair], margins: Sequence[float]) -> Scores:
    """[D] Bradley-Terry log-strengths; nan without any verdict."""
    wins = np.zeros((num, num))
    for (i, j), margin in zip(pairs, margins, strict=True):
        if not math.isnan(margin):
            wins[i, j] += 0.5 + margin
            wins[j, i] += 0.5 - margin
    has_met = (wins + wins.T).any(axis=1)
    return np.where(has_met, bradley_terry(wins), np.nan)
