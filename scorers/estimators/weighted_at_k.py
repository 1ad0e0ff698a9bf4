"""The accuracy of a weighted vote among k: a mean over subsets, for it has no closed form.

Real weights rule out the polynomial of `majority_at_k`, so subsets are evaluated, many in one go.
Arrays in, arrays out. Nothing here knows a question, a grader or a scorer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Scores

# Totals that differ by less, relative to all that was added, are equal but for rounding.
TIE = 1e-12


def weighted_choices(
    answers: Sequence[str | None],
    weights: Scores,
    values: Scores,
    subsets: NDArray[np.int64],
) -> Scores:
    """[R] what the answer with the greatest total weight is worth in each of `subsets` [R, k].

    `answers`, `weights` and `values` are [N], of the pool; a row of `subsets` holds k places in it.
    A weight of nan is no vote, and neither is a sample without an answer; where nobody votes the
    value is 0. Of answers with equal totals each wins as often as it has samples in the subset: as
    often, that is, as it comes first in a random order.

    The mean over random subsets is unbiased for a vote among k that are drawn without replacement;
    its standard error is that of a mean of R independent values. Two selectors are compared on the
    same subsets.
    """
    require(len(weights) == len(answers), "weights", f"be {len(answers)} numbers", len(weights))
    require(len(values) == len(answers), "values", f"be {len(answers)} numbers", len(values))
    codes, worth = _answer_codes(answers, values)
    columns = len(worth) + 1  # the last one is for those without an answer
    flat = (codes[subsets] + columns * np.arange(len(subsets))[:, None]).ravel()
    shape, size = (len(subsets), columns), len(subsets) * columns
    has_vote = ~np.isnan(weights)
    votes = np.where(has_vote, weights, 0.0)[subsets]
    cast = np.bincount(flat, votes.ravel(), size).reshape(shape)
    voters = np.bincount(flat, has_vote[subsets].ravel(), size).reshape(shape)[:, :-1]
    present = np.bincount(flat, minlength=size).reshape(shape)[:, :-1]
    totals = np.where(voters > 0, cast[:, :-1], -np.inf)
    # Weights below zero cancel: the error of a total is not relative to what is left of it.
    rounding = TIE * np.abs(votes).sum(axis=1, keepdims=True)
    return _mean_of_best(totals, rounding, present, worth)


def _mean_of_best(
    totals: Scores, rounding: Scores, present: NDArray[np.int64], worth: Scores
) -> Scores:
    """[R] the mean worth [A] of the answers with the greatest total, each as often as present."""
    best = totals.max(axis=1, initial=-np.inf, keepdims=True)
    is_best = np.isfinite(totals) & (totals >= best - rounding)
    shares = np.where(is_best, present, 0)
    means: Scores = (shares @ worth) / np.maximum(shares.sum(axis=1), 1)
    return means


def _answer_codes(
    answers: Sequence[str | None], values: Scores
) -> tuple[NDArray[np.int64], Scores]:
    """[N] which distinct answer each answer is, and what each of those [A] is worth."""
    places: dict[str, int] = {}
    for answer in answers:
        if answer is not None:
            places.setdefault(answer, len(places))
    codes = np.array([len(places) if a is None else places[a] for a in answers], np.int64)
    worth = np.zeros(len(places) + 1)
    worth[codes] = values
    return codes, worth[:-1]
