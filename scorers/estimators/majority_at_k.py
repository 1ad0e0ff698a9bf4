"""The accuracy of a vote among k, for every k from one pool: exact over all subsets.

Counts in, curves out. Nothing here knows a question, a grader or an extractor.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Scores

# A chance this small or smaller is lost in the sums: pools of this size still have none.
LARGEST_WHOLE = 900


def majority_at_k(
    counts: Sequence[int], values: Sequence[float], nulls: int = 0, max_k: int | None = None
) -> Scores:
    """[K] for k = 1..K: the mean value of the most frequent answer among k of the pool.

    `counts` [A] says how many samples give each answer, `values` [A] what it is worth: 1 right, 0
    wrong. k samples are drawn without replacement; of answers that tie each wins as often.
    Samples without an answer, of which there are `nulls`, use a draw and never win; where no other
    is drawn, the value is 0. K is the size of the pool unless `max_k` is smaller.

    Plurality, not "more than half are right": for the answer with count c to win with t votes, all
    others have at most t, and s of them exactly t share the win with it,

        P = 1 / C(N, k) sum_t C(c, t) sum_s [x^(k-t) y^s] prod_j (sum_{i<t} C(c_j, i) x^i
            + C(c_j, t) x^t y) / (s + 1)

    where 1 / (s + 1) is the integral of y^s from 0 to 1, which Gauss-Legendre nodes give exactly.
    Every term is positive, so no digits cancel.
    """
    rule = f"have one number for each of the {len(counts)} counts"
    require(len(values) == len(counts), "values", rule, len(values))
    require(all(c >= 1 for c in counts), "counts", "be 1 or more each", min(counts, default=1))
    require(nulls >= 0, "nulls", "be 0 or more", nulls)
    n = sum(counts) + nulls
    largest = n if max_k is None else min(max_k, n)
    curve = np.zeros(largest)
    for low, high in pairwise(_cuts(largest, n)):
        share = math.sqrt((low + 1) * high) / (n + 1)
        for (count, value), twins in Counter(zip(counts, values, strict=True)).items():
            if value:
                others = [c for c in counts if c != count] + [count] * (counts.count(count) - 1)
                wins = _wins(count, others, nulls, high, min(share, 0.5))
                curve[low:high] += twins * value * wins[low + 1 : high + 1]
    return curve


def _cuts(largest: int, n: int) -> list[int]:
    """The ends of the ranges of k that are done together, with one share for the whole range."""
    if n <= LARGEST_WHOLE:
        return [0, largest]
    cuts = [0]
    while cuts[-1] < largest:
        cuts.append(min(largest, max(64, 2 * cuts[-1])))
    return cuts


def _wins(count: int, others: Sequence[int], nulls: int, largest: int, share: float) -> Scores:
    """[K + 1] how likely this answer is the one that wins among k, ties shared.

    Coefficients are chances of a binomial with this share: their sums stay near 1, where those of
    the formula overflow. The share itself cancels.
    """
    own = _chances(count, share)
    most = max(others, default=0)  # votes of a rival: with more it wins, whatever the others are
    alone = np.where(np.arange(count + 1) > most, own, 0.0)[: largest + 1]
    rest = _chances(sum(others) + nulls, share)[: largest + 1]
    total = np.convolve(alone, rest)[: largest + 1]
    for votes in range(1, min(count, most, largest) + 1):
        rivals = [c for c in others if c >= votes]
        free = nulls + sum(c for c in others if c < votes)
        rest = _shared(rivals, votes, free, largest - votes, share)
        total[votes:] += own[votes] * rest
    drawn = _chances(count + sum(others) + nulls, share)[: largest + 1]
    return np.divide(total, drawn, out=np.zeros_like(total), where=drawn > 0)


def _shared(rivals: Sequence[int], votes: int, free: int, degree: int, share: float) -> Scores:
    """[degree + 1] the polynomial of all others, each rival with `votes` at most, ties shared."""
    y, weights = _nodes(len(rivals) // 2 + 1)
    product = np.zeros((len(y), degree + 1))
    start = _chances(free, share)[: degree + 1]
    product[:, : len(start)] = start
    for rival in rivals:
        chances = _chances(rival, share)
        factor = np.zeros_like(product)
        for i in range(min(votes, degree) + 1):
            scale = y[:, None] * chances[i] if i == votes else chances[i]
            factor[:, i:] += scale * product[:, : degree + 1 - i]
        product = factor
    shared: Scores = weights @ product
    return shared


@lru_cache(maxsize=256)
def _nodes(count: int) -> tuple[Scores, Scores]:
    """[count] the Gauss-Legendre nodes of [0, 1], and their weights."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


@lru_cache(maxsize=4096)  # the counts of one pool are those of the next
def _chances(n: int, share: float) -> Scores:
    """[n + 1] C(n, i) share^i (1 - share)^(n - i)."""
    i = np.arange(n + 1)
    logs = np.array([math.lgamma(n + 1) - math.lgamma(a + 1) - math.lgamma(n - a + 1) for a in i])
    chances: Scores = np.exp(logs + i * math.log(share) + (n - i) * math.log1p(-share))
    chances.flags.writeable = False  # it is shared
    return chances
