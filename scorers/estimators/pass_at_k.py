"""Pass@k and pass^k of one question: exact integers, rounded once."""

from __future__ import annotations

import math

from nbest.orchestrator.requirements import require


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that k of n samples, c of them correct, drawn without replacement, hold a hit.

    1 - C(n - c, k) / C(n, k), Chen et al. 2021 (arXiv 2107.03374), equation 1: unbiased for any k.
    Exact integers, rounded once.
    """
    require(0 <= c <= n, "c", f"lie in 0..{n}", c)
    require(1 <= k <= n, "k", f"lie in 1..{n}", k)
    draws = math.comb(n, k)
    return (draws - math.comb(n - c, k)) / draws


def all_at_k(n: int, c: int, k: int) -> float:
    """The chance that k of n samples, c of them correct, are all correct: C(c, k) / C(n, k).

    Pass^k, how reliable a model is; unbiased for any k. Exact integers, rounded once.
    """
    require(0 <= c <= n, "c", f"lie in 0..{n}", c)
    require(1 <= k <= n, "k", f"lie in 1..{n}", k)
    return math.comb(c, k) / math.comb(n, k)
