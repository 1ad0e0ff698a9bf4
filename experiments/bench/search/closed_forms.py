"""What searches over a world of chains win, in closed form.

D steps, right by the chance p while all before are; a wrong one stays wrong.
"""

from __future__ import annotations

from math import comb, isclose

import numpy as np
from numpy.typing import NDArray


def single(p: float, depth: int) -> float:
    """One answer: p^D."""
    return float(p**depth)


def single_with_ends(p: float, depth: int, ends: float) -> float:
    """One answer whose steps before the last may each be the end, by a chance."""
    early = sum(ends * (1.0 - ends) ** (step - 1) * p**step for step in range(1, depth))
    return float(early + (1.0 - ends) ** (depth - 1) * p**depth)


def best_of_n(p: float, depth: int, n: int) -> float:
    """The best of n whole answers, by a perfect scorer: 1 - (1 - p^D)^n."""
    return 1.0 - (1.0 - single(p, depth)) ** n


def greedy(p: float, depth: int, width: int) -> float:
    """The best of `width` steps at each place, by a perfect scorer: (1 - (1 - p)^M)^D."""
    return float((1.0 - (1.0 - p) ** width) ** depth)


def trees(p: float, depth: int, width: int, count: int) -> float:
    """The best of so many greedy chains that share nothing."""
    return 1.0 - (1.0 - greedy(p, depth, width)) ** count


def beam(p: float, depth: int, n: int, width: int) -> float:
    """Beam search by a perfect scorer: a Markov chain on how many of its beams are right.

    Of r right beams come min(n / M, Bin(M r, p)) right ones; of the first level,
    min(n / M, Bin(n, p)); at the end, one must be right.
    """
    beams = n // width
    chances = _capped(n, p, beams)
    for _ in range(depth - 2):
        after = np.zeros(beams + 1)
        for right, chance in enumerate(chances):
            after += chance * _capped(width * right, p, beams)
        chances = after
    if depth == 1:
        return 1.0 - (1.0 - p) ** n
    last = [chance * (1.0 - (1.0 - p) ** (width * r)) for r, chance in enumerate(chances)]
    return float(sum(last))


def _capped(count: int, p: float, most: int) -> NDArray[np.float64]:
    """The chances of min(most, Bin(count, p)), [most + 1]."""
    chances = np.zeros(most + 1)
    for k in range(count + 1):
        chances[min(most, k)] += comb(count, k) * p**k * (1.0 - p) ** (count - k)
    assert isclose(chances.sum(), 1.0)
    return chances


def greedy_by_binary(p: float, depth: int, width: int, a: float, b: float) -> float:
    """The best of `width` steps at each place by a scorer that says 1 or 0.

    It says 1 of a right step by the chance a, of a wrong one by b; q = p a + (1 - p) b. A step is
    right by (1 - (1 - q)^M) p a / q + (1 - q)^M p (1 - a) / (1 - q).
    """
    q = p * a + (1.0 - p) * b
    if q in (0.0, 1.0):  # it always says the same, and so nothing
        return single(p, depth)
    none = (1.0 - q) ** width
    step = (1.0 - none) * p * a / q + none * p * (1.0 - a) / (1.0 - q)
    return float(step**depth)


def evidence(p: float, depth: int, a: float, b: float) -> float:
    """The mean over the model's answers of the product of weights, a for right steps and b else."""
    chances, step = np.array([1.0, 0.0]), np.array([[p * a, (1.0 - p) * b], [0.0, b]])
    return float(chances @ np.linalg.matrix_power(step, depth) @ np.ones(2))


def evidence_with_ends(
    p: float, depth: int, a: float, b: float, ends: float, at_end: float
) -> tuple[float, float]:
    """The same where each step before the last ends the answer by a chance, with another weight.

    The weight of the last step is that of an end, too. Returns what all answers weigh, and what the
    right ones do.
    """
    right, wrong = 1.0, 0.0
    ended_right = ended = 0.0
    for step in range(1, depth + 1):
        chance = 1.0 if step == depth else ends
        now_right, now_wrong = right * p, right * (1.0 - p) + wrong
        ended_right += now_right * chance * at_end
        ended += (now_right + now_wrong) * chance * at_end
        right, wrong = now_right * (1.0 - chance) * a, now_wrong * (1.0 - chance) * b
    return ended, ended_right
