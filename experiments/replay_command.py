"""`nbest replay`: what an adaptive strategy would have drawn, on samples that are stored.

The samples of each question are put into many random orders, and the same rule as in a live run
says after each sample whether it has seen enough.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from experiments.curves import graded_cases, values_of
from experiments.evaluate import Case, require_logprobs
from experiments.plugins import build_strategy
from experiments.replay_drawn import Drawn, Spent, pointwise_scores
from experiments.select_command import load_cases
from orchestrator.errors import InputError
from orchestrator.protocols import Scorer
from orchestrator.score_rules import ScoreRule
from orchestrator.stop_rules import StopRule, VoteStands
from orchestrator.types import Scores, require
from scorers import MajorityVote
from scorers.estimators import clustered_interval

TELL_EVERY = 10  # orders


class ReplayedStrategy(Protocol):
    """What can be replayed: by what it chooses, and what comes of orders of the samples.

    One order of each question comes in, for some strategies decide over a whole batch.
    """

    @property
    def select(self) -> Scorer: ...

    async def outcomes(self, drawn: Sequence[Drawn]) -> list[Spent]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A strategy that is replayed: when it stops, and by what it then chooses."""

    rule: StopRule | ScoreRule = field(default_factory=VoteStands)
    min_n: int = 2
    select: Scorer = field(default_factory=MajorityVote)

    def __post_init__(self) -> None:
        require(self.min_n >= 1, "min_n", "be at least 1", self.min_n)

    async def outcomes(self, drawn: Sequence[Drawn]) -> list[Spent]:
        return [await each.spent(self.select, await self.stops_after(each)) for each in drawn]

    async def stops_after(self, drawn: Drawn) -> int:
        """How many of these samples, in their order, it would have drawn."""
        answers, limit, rule = drawn.answers, len(drawn.order), self.rule
        if not isinstance(rule, ScoreRule):
            return next((n for n in range(self.min_n, limit) if rule(answers[:n], limit)), limit)
        for n in range(self.min_n, limit):
            if rule.stops_on(await drawn.scores(self.select, n), answers[:n], limit):
                return n
        return limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Means over the shuffles, then over the questions."""

    accuracy: float
    low: float  # 95%, clustered by question
    high: float
    samples: float  # a question
    tokens: float  # a question
    tokens_fixed: float  # a question, for max_n samples
    saving: float  # share of tokens saved against drawing max_n for every question
    accuracy_fixed: float  # of the same choice from max_n in the same orders
    seconds: float | None = None  # a question, where the strategy decides by who ends first
    seconds_fixed: float | None = None  # until the last of max_n has ended

    def as_json(self) -> dict[str, float | None]:
        return asdict(self)


def replay(
    run: Path,
    strategy: str = "adaptive",
    max_n: int = 64,
    shuffles: int = 100,
    seed: int = 0,
    extract: str | None = None,
    grade: str | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Replay:
    """Replay a strategy on every graded question of a run that has `max_n` samples."""
    require(shuffles >= 1, "shuffles", "be at least 1", shuffles)
    made = build_strategy(strategy)
    cases = graded_cases(load_cases(run, extract, grade))
    if not cases:
        raise InputError(f"run must hold graded questions, {str(run)!r} has none")
    require_logprobs(strategy, made.select, cases)
    fewest = min(len(case.candidates) for case in cases)
    rule = f"lie in 1..{fewest}, the samples of the question that has fewest"
    require(1 <= max_n <= fewest, "max_n", rule, max_n)
    return replay_cases(cases, made, max_n, shuffles, seed, tell)


def replay_cases(
    cases: Sequence[Case],
    strategy: ReplayedStrategy,
    max_n: int,
    shuffles: int,
    seed: int = 0,
    tell: Callable[[str], None] = lambda line: None,
) -> Replay:
    """The same on cases; the orders depend on the seed and the place of the question alone."""
    means = asyncio.run(_means(cases, strategy, max_n, shuffles, seed, tell))
    right, samples, tokens, seconds, *fixed = means.mean(axis=0).tolist()
    right_fixed, tokens_fixed, seconds_fixed = fixed
    is_timed = not math.isnan(seconds)
    interval = clustered_interval(means[:, 0])
    return Replay(
        accuracy=right,
        low=interval.low,
        high=interval.high,
        samples=samples,
        tokens=tokens,
        tokens_fixed=tokens_fixed,
        saving=1 - tokens / tokens_fixed if tokens_fixed else 0.0,
        accuracy_fixed=right_fixed,
        seconds=seconds if is_timed else None,
        seconds_fixed=seconds_fixed if is_timed else None,
    )


async def _means(
    cases: Sequence[Case],
    strategy: ReplayedStrategy,
    max_n: int,
    shuffles: int,
    seed: int,
    tell: Callable[[str], None],
) -> Scores:
    """[Q, 7] means over the shuffles of what `_outcomes` says."""
    known = [(await pointwise_scores(strategy.select, case), values_of(case)) for case in cases]
    shuffled = [orders(case, max_n, shuffles, seed, q) for q, case in enumerate(cases)]
    total = np.zeros((len(cases), 7))
    for number, same in enumerate(zip(*shuffled, strict=True), start=1):  # an order of each
        drawn = [
            Drawn(case=case, order=order, values=values, whole=whole)
            for case, order, (whole, values) in zip(cases, same, known, strict=True)
        ]
        total += await _outcomes(drawn, strategy, max_n)
        if number % TELL_EVERY == 0:
            tell(f"{number} of {shuffles} orders of each question")
    return total / shuffles


async def _outcomes(drawn: Sequence[Drawn], strategy: ReplayedStrategy, max_n: int) -> Scores:
    """[Q, 7] what the strategy spends, then right, tokens and seconds of all `max_n`."""
    spent = await strategy.outcomes(drawn)
    fixed = [await each.spent(strategy.select, max_n) for each in drawn]
    rows = [
        (*one, every.right, every.tokens, each.last_s())
        for one, every, each in zip(spent, fixed, drawn, strict=True)
    ]
    return np.array(rows, np.float64)


def orders(case: Case, max_n: int, shuffles: int, seed: int, place: int) -> list[list[int]]:
    """Random orders of `max_n` of the samples of a question."""
    rng = np.random.default_rng([seed, place])
    return [rng.permutation(len(case.candidates))[:max_n].tolist() for _ in range(shuffles)]
