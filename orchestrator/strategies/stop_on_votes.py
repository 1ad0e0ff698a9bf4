"""When to stop asking the same question: rules that look at the answers so far, and nothing else.

Each answer is a text, or None for a sample that holds none: it uses a draw and gives no vote.
All rules are pure; they know no sampler, no clock and no gold answer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from nbest.orchestrator.requirements import require


class StopRule(Protocol):
    """Says whether the answers [n], in the order of their indices, are enough.

    `max_n` is how many could be drawn. It is asked after every sample, so a rule that promises an
    error rate must hold it at any time.
    """

    def __call__(self, answers: Sequence[str | None], max_n: int) -> bool: ...


def top_two(answers: Sequence[str | None]) -> tuple[int, int]:
    """The votes of the leader and of the runner-up."""
    counts = sorted(Counter(a for a in answers if a is not None).values(), reverse=True)
    first, second, *_ = (*counts, 0, 0)
    return first, second


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaStop:
    """Adaptive-Consistency (Aggarwal et al. 2023, arXiv 2305.11860): the leader is ahead for good.

    It stops when a uniform prior over the share of the leader against the runner-up leaves 1 -
    `confidence` to the runner-up. The promise holds for one look: looked at after every sample, it
    stops on the wrong one of two nearly equal answers far more often.
    """

    confidence: float = 0.95

    def __post_init__(self) -> None:
        holds = 0.5 < self.confidence < 1
        require(holds, "confidence", "lie in (0.5, 1)", self.confidence)

    def __call__(self, answers: Sequence[str | None], max_n: int) -> bool:
        return leads_with(*top_two(answers)) >= self.confidence


@lru_cache(maxsize=65_536)
def leads_with(first: int, second: int) -> float:
    """The posterior chance, from a uniform prior, that the first answer is the likelier one."""
    from scipy.special import betaincc

    return float(betaincc(first + 1, second + 1, 0.5))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnanimousWindow:
    """Early-Stopping Self-Consistency (Li et al. 2024, arXiv 2401.10480): a window agrees.

    The samples are cut into windows of this size, and a whole one must hold a single answer.
    """

    size: int = 5

    def __post_init__(self) -> None:
        require(self.size >= 2, "size", "be at least 2", self.size)

    def __call__(self, answers: Sequence[str | None], max_n: int) -> bool:
        if not answers or len(answers) % self.size:
            return False
        window = set(answers[-self.size :])
        return len(window) == 1 and None not in window


@dataclass(frozen=True, slots=True, kw_only=True)
class EValueStop:
    """Anytime-valid: the chance of ever stopping on an answer that is not the likeliest is `alpha`.

    Against each rival the votes for the leader and for the rival are a test of a fair coin, by a
    uniform mixture over the leader's share in [1/2, 1]:

        E = 2^(v1 + v2 + 1) B(v1 + 1, v2 + 1) (1 - I_1/2(v1 + 1, v2 + 1))

    a martingale under the fair coin, so E >= 1/alpha happens with probability alpha at most,
    however often one looks (Ville 1939; Martingale Majority Certificate, arXiv 2510.17472). The
    number of rivals is not known beforehand: the r-th to appear gets alpha / (r (r + 1)).
    """

    alpha: float = 0.05

    def __post_init__(self) -> None:
        require(0 < self.alpha < 1, "alpha", "lie in (0, 1)", self.alpha)

    def __call__(self, answers: Sequence[str | None], max_n: int) -> bool:
        counts = Counter(answer for answer in answers if answer is not None)  # by appearance
        if not counts:
            return False
        leader = max(counts, key=counts.__getitem__)
        rivals = [votes for answer, votes in counts.items() if answer != leader] + [0]
        return all(
            log_e_value(counts[leader], votes) >= np.log(r * (r + 1) / self.alpha)
            for r, votes in enumerate(rivals, start=1)
        )


@lru_cache(maxsize=65_536)
def log_e_value(first: int, second: int) -> float:
    """log E of `EValueStop` for so many votes of the leader and of one rival."""
    from scipy.special import betaincc, betaln

    tail = max(float(betaincc(first + 1, second + 1, 0.5)), 1e-300)
    votes = first + second + 1
    return float(votes * np.log(2) + betaln(first + 1, second + 1) + np.log(tail))


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """The leader is ahead by more than chance, and the less of that is needed the fewer remain.

    It stops after n samples when first - second >= c sqrt(first + second + 1) (1 - n / max_n): of
    two equally likely answers the lead has a standard deviation of sqrt(first + second), and only
    what remains of it can still turn the vote. Two equal answers are drawn to the end. One constant
    serves every `max_n`: early leads of 2:0, which small limits tempt to, do not suffice.
    """

    c: float = 1.83

    def __post_init__(self) -> None:
        require(self.c > 0, "c", "be above 0", self.c)

    def __call__(self, answers: Sequence[str | None], max_n: int) -> bool:
        first, second = top_two(answers)
        needed = self.c * math.sqrt(first + second + 1) * (1 - len(answers) / max_n)
        return first > second and first - second >= needed


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteStands:
    """The vote of all `max_n` samples would hardly differ: the remaining ones cannot turn it.

    With v1 votes for the leader and v2 for a rival after n samples, and a Dirichlet prior of
    `prior` for each, the votes of the remaining samples are Dirichlet-multinomial. It stops when
    the chances that a rival overtakes, summed over the rivals and one that has not appeared yet,
    are `risk` at most. Unlike the other rules it knows when sampling ends anyway: a lead
    that the rest could hardly overturn is enough, and a lead of one early on is not.
    """

    risk: float = 0.1
    prior: float = 1.0

    def __post_init__(self) -> None:
        require(0 < self.risk < 1, "risk", "lie in (0, 1)", self.risk)
        require(self.prior > 0, "prior", "be above 0", self.prior)

    def __call__(self, answers: Sequence[str | None], max_n: int) -> bool:
        counts = sorted(Counter(a for a in answers if a is not None).values(), reverse=True)
        if not counts:
            return False
        remaining = max_n - len(answers)
        leader, rivals = counts[0], (*counts[1:], 0)
        total = 0.0
        for votes in rivals:
            others = len(answers) - leader - votes
            total += overtakes(leader, votes, others, remaining, self.prior)
            if total > self.risk:
                return False
        return True


@lru_cache(maxsize=262_144)
def overtakes(leader: int, rival: int, others: int, remaining: int, prior: float) -> float:
    """The chance that a rival is ahead of the leader after `remaining` more samples.

    Ties count half. Of the remaining samples, m go to one of the two, and x of those to the rival:
    both are beta-binomial.
    """
    from scipy.stats import betabinom

    if remaining == 0:
        return 0.0 if leader > rival else 0.5
    m = np.arange(remaining + 1)
    share = betabinom.pmf(m, remaining, leader + rival + 2 * prior, others + prior)
    needed = (leader - rival + m) / 2  # more than this for the rival
    ahead = betabinom.sf(np.floor(needed), m, rival + prior, leader + prior)
    is_even = (leader - rival + m) % 2 == 0
    tied = np.where(
        is_even & (needed <= m), betabinom.pmf(needed, m, rival + prior, leader + prior), 0.0
    )
    return float(np.sum(share * (ahead + tied / 2)))
