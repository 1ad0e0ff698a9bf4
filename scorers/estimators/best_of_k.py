"""Best-of-k for every k from one pool: exact over all subsets, for any scores.

Scores and values in, curves out. Nothing here knows a question, a grader or a scorer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Scores

BLOCK = 1 << 18  # numbers at a time: ten thousand scores make a hundred million


def best_of_k(scores: Scores, values: Scores) -> Scores:
    """[N] for k = 1..N: the mean value of the best scored of k, drawn without replacement.

    `values` [N] is what each candidate is worth if it wins: 1 right, 0 wrong, or the vote share of
    its answer. Of equal scores each wins as often. A candidate whose score is nan has no answer: it
    uses a draw and never wins; where all k are such, the value is 0.

    With n_g candidates up to and including score g, that score is the best of k with probability
    (C(n_g, k) - C(n_{g-1}, k)) / C(N, k). Unbiased for any k up to N, as pass@k is (Chen et al.
    2021, arXiv 2107.03374, equation 1), which this is for scores that equal the values.
    """
    require(scores.shape == values.shape, "values", f"have shape {scores.shape}", values.shape)
    means, upto = _groups(scores, values)
    if not len(means):
        return np.zeros(len(scores))
    curve = [np.diff(shares) @ means[1:] for shares in _shares_below(upto, len(scores))]
    return np.concatenate(curve)


def best_choices(scores: Scores, values: Scores, subsets: NDArray[np.int64]) -> Scores:
    """[R] the mean value of the best scored in each of `subsets` [R, k], places in the pool.

    The readable twin of `best_of_k`, and what serves where subsets are not drawn from all alike. Of
    equal scores each wins as often; where no candidate of a subset has a score, the value is 0.
    """
    rows = max(1, BLOCK // max(1, subsets.shape[1]))
    blocks = [_chosen(scores, values, subsets[i : i + rows]) for i in range(0, len(subsets), rows)]
    return np.concatenate(blocks)


def _chosen(scores: Scores, values: Scores, subsets: NDArray[np.int64]) -> Scores:
    is_scored = ~np.isnan(scores)[subsets]
    drawn = np.where(is_scored, scores[subsets], -np.inf)
    wins = is_scored & (drawn == drawn.max(axis=1, keepdims=True))
    means: Scores = (wins * values[subsets]).sum(axis=1) / np.maximum(wins.sum(axis=1), 1)
    return means


def _groups(scores: Scores, values: Scores) -> tuple[Scores, Scores]:
    """[G + 1] the mean value of each different score, lowest first, and how many are up to it.

    The candidates without a score come first, as if theirs were lower than all, with value 0.
    """
    is_scored = ~np.isnan(scores)
    levels, place, counts = np.unique(scores[is_scored], return_inverse=True, return_counts=True)
    if not len(levels):
        return np.empty(0), np.empty(0)
    # Sorted, so that the sum does not depend on the order of the candidates.
    order = np.lexsort((values[is_scored], place))
    sums = np.bincount(place[order], weights=values[is_scored][order])
    missing = len(scores) - int(np.count_nonzero(is_scored))
    means = np.concatenate([[0.0], sums / counts])
    return means, np.concatenate([[missing], missing + np.cumsum(counts)]).astype(np.float64)


def _shares_below(upto: Scores, n: int) -> Iterator[Scores]:
    """For k = 1..n, some k at a time, [k, G + 1] the share C(upto, k) / C(n, k) of the subsets
    that lie below.

    Each is the last one times (upto - k + 1) / (n - k + 1): products of numbers up to 1 lose no
    digits, where factorials would overflow.
    """
    rows = max(1, BLOCK // len(upto))
    share = np.ones(len(upto))
    for first in range(0, n, rows):
        drawn = np.arange(first, min(first + rows, n), dtype=np.float64)[:, None]
        factors = np.maximum(upto - drawn, 0.0) / (n - drawn)
        factors[0] *= share
        shares = np.asarray(np.cumprod(factors, axis=0), np.float64)
        share = shares[-1]
        yield shares
