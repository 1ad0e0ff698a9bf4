"""Pass@k, pass^k and G-Pass@k of one question: exact integers, rounded once; pass@k of a panel."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Scores


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that k of n samples, c of them correct, drawn without replacement, hold a hit.

    1 - C(n - c, k) / C(n, k), Chen et al. 2021 (arXiv 2107.03374), equation 1: unbiased for any k.
    Exact integers, rounded once.
    """
    require(0 <= c <= n, "c", f"lie in 0..{n}", c)
    require(1 <= k <= n, "k", f"lie in 1..{n}", k)
    draws = math.comb(n, k)
    return (draws - math.comb(n - c, k)) / draws


def any_at_turns(values: Scores, arms: Sequence[str]) -> Scores:
    """[N] for k = 1..N: the chance that a right one is among the first k turns of a panel.

    `values` [N] are 1 for right and 0 for wrong, and `arms` [N] says which arm has each turn. An
    arm's k_a turns hold any of its own n_a samples, drawn without replacement: the chance of none
    right is the product over arms of C(n_a - c_a, k_a) / C(n_a, k_a). Unbiased, as pass@k is; arms
    are strata, and samples of one never stand for another's.
    """
    rule = f"name an arm for each of the {len(values)} samples"
    require(len(arms) == len(values), "arms", rule, len(arms))
    left, wrong = Counter(arms), Counter[str]()
    for arm, value in zip(arms, values, strict=True):
        wrong[arm] += int(value == 0)
    chances, none_right = [], 1.0
    for arm in arms:
        none_right *= max(0, wrong[arm]) / left[arm]
        wrong[arm] -= 1
        left[arm] -= 1
        chances.append(1.0 - none_right)
    return np.array(chances, np.float64)


def all_at_k(n: int, c: int, k: int) -> float:
    """The chance that k of n samples, c of them correct, are all correct: C(c, k) / C(n, k).

    Pass^k, how reliable a model is; unbiased for any k. Exact integers, rounded once.
    """
    require(0 <= c <= n, "c", f"lie in 0..{n}", c)
    require(1 <= k <= n, "k", f"lie in 1..{n}", k)
    return math.comb(c, k) / math.comb(n, k)


def g_pass_at_k(n: int, c: int, k: int, share: float) -> float:
    """The chance that at least a share of k of n samples, c of them correct, are correct.

    G-Pass@k (Liu et al. 2024, arXiv 2412.13147, equation 3): the upper tail of a hypergeometric
    law, from ceil(share * k) on, at least one. A share of 1 is pass^k; as it falls to 0 it becomes
    pass@k. Unbiased for any k. Exact integers, rounded once.
    """
    require(0 <= c <= n, "c", f"lie in 0..{n}", c)
    require(1 <= k <= n, "k", f"lie in 1..{n}", k)
    require(0 < share <= 1, "share", "lie in (0, 1]", share)
    least = max(1, math.ceil(round(share * k, 9)))  # 0.7 * 10 is a little more than 7
    ways = sum(math.comb(c, j) * math.comb(n - c, k - j) for j in range(least, min(c, k) + 1))
    return ways / math.comb(n, k)
