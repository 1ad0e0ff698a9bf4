"""`nbest replay`: what an adaptive strategy would have drawn, on samples that are stored.

The samples of each question are put into many random orders, and the same rule as in a live run
says after each sample whether it has seen enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from experiments.curves import graded_cases, values_of
from experiments.evaluate import Case
from experiments.plugins import build_strategy
from experiments.select_command import load_cases
from orchestrator.errors import InputError
from orchestrator.stop_rules import StopRule, VoteStands
from orchestrator.types import require
from scorers.estimators import clustered_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A strategy that is replayed: when it stops. It then takes the vote."""

    rule: StopRule = field(default_factory=VoteStands)
    min_n: int = 2

    def __post_init__(self) -> None:
        require(self.min_n >= 1, "min_n", "be at least 1", self.min_n)

    def stops_after(self, answers: Sequence[str | None]) -> int:
        """How many of these answers, in their order, it would have drawn."""
        limit = len(answers)
        for n in range(self.min_n, limit):
            if self.rule(answers[:n], limit):
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
    accuracy_fixed: float  # of the vote of max_n in the same orders

    def as_json(self) -> dict[str, float]:
        return asdict(self)


def replay(
    run: Path,
    strategy: str = "adaptive",
    max_n: int = 64,
    shuffles: int = 100,
    seed: int = 0,
    extract: str | None = None,
    grade: str | None = None,
) -> Replay:
    """Replay a strategy on every graded question of a run that has `max_n` samples."""
    require(shuffles >= 1, "shuffles", "be at least 1", shuffles)
    made = build_strategy(strategy)
    cases = graded_cases(load_cases(run, extract, grade))
    if not cases:
        raise InputError(f"run must hold graded questions, {str(run)!r} has none")
    fewest = min(len(case.candidates) for case in cases)
    rule = f"lie in 1..{fewest}, the samples of the question that has fewest"
    require(1 <= max_n <= fewest, "max_n", rule, max_n)
    return replay_cases(cases, made, max_n, shuffles, seed)


def replay_cases(
    cases: Sequence[Case], strategy: Replayed, max_n: int, shuffles: int, seed: int = 0
) -> Replay:
    """The same on cases; the orders depend on the seed and the place of the question alone."""
    means = np.array(
        [
            np.mean(
                [_once(case, strategy, order) for order in orders(case, max_n, shuffles, seed, q)],
                axis=0,
            )
            for q, case in enumerate(cases)
        ]
    )
    right, samples, tokens, right_fixed, tokens_fixed = means.mean(axis=0).tolist()
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
    )


def orders(case: Case, max_n: int, shuffles: int, seed: int, place: int) -> list[list[int]]:
    """Random orders of `max_n` of the samples of a question."""
    rng = np.random.default_rng([seed, place])
    return [rng.permutation(len(case.candidates))[:max_n].tolist() for _ in range(shuffles)]


def _once(case: Case, strategy: Replayed, order: Sequence[int]) -> tuple[float, ...]:
    """Right, samples and tokens of the strategy, then right and tokens of all in the order."""
    answers = [case.candidates.answers[i] for i in order]
    spent = [case.candidates.samples[i].generated_tokens for i in order]
    values = values_of(case)[list(order)].tolist()
    n = strategy.stops_after(answers)
    return (
        _vote_value(answers[:n], values[:n]),
        float(n),
        float(sum(spent[:n])),
        _vote_value(answers, values),
        float(sum(spent)),
    )


def _vote_value(answers: Sequence[str | None], values: Sequence[float]) -> float:
    """What the most frequent answer is worth; of equals the first, as selection has it."""
    counts = Counter(answer for answer in answers if answer is not None)
    if not counts:
        return 0.0
    winner = max(counts, key=counts.__getitem__)
    return float(values[list(answers).index(winner)])
