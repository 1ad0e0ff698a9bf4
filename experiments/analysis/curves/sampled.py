"""What a selector chooses among k samples where there is no closed form: subsets are drawn.

The subsets of a question depend on its id alone, so selectors are compared on the same ones and the
same command prints the same digits. Where there are no more subsets than would be drawn, all of
them are looked at, and the curve is exact there too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from nbest.experiments.analysis.curves.exact import values_of
from nbest.experiments.runs.cases import Case
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.selection import taken
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.weighted_at_k import weighted_choices
from nbest.scorers.votes.weighted import WeightedVote

SUBSETS = 20_000  # of all questions together
FEWEST = 4  # of a question
IN_ONE_GO = 10  # times as many where they are looked at together; the first are the same


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledCurves:
    """By question and k; nan at the k that nobody asked for."""

    means: Scores  # [Q, K]
    variances: Scores  # [Q, K] of the means, by the drawing; 0 where all subsets were looked at
    subsets: int  # that were drawn of each question


async def sampled_curves(
    scorer: Scorer, cases: Sequence[Case], ks: Sequence[int], largest: int
) -> SampledCurves:
    """The mean of what the scorer chooses in random subsets of k, for each of `ks`."""
    means = np.full((len(cases), largest), np.nan)
    variances = np.full((len(cases), largest), np.nan)
    draws = most = max(FEWEST, math.ceil(SUBSETS / len(cases)))
    for q, case in enumerate(cases):
        size = len(case.candidates)
        weights = await _lasting_weights(scorer, case)
        draws = most if weights is None else IN_ONE_GO * most
        orders = _orders(case.query.id, size, draws)
        for k in ks:
            is_all = math.comb(size, k) <= max(draws, size)
            subsets = np.array(list(combinations(range(size), k))) if is_all else orders[:, :k]
            if weights is None:
                found = await chosen_one_by_one(scorer, case, subsets)
            else:
                answers = case.candidates.answers
                found = weighted_choices(answers, weights, values_of(case), subsets)
            means[q, k - 1] = found.mean()
            variances[q, k - 1] = 0.0 if is_all else found.var(ddof=1) / len(found)
    return SampledCurves(means=means, variances=variances, subsets=draws)


def _orders(query_id: str, size: int, draws: int) -> NDArray[np.int64]:
    """[R, N] random orders; the first k of each are a random subset, part of that of a larger k."""
    digest = blake2b(query_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(digest))
    return rng.permuted(np.tile(np.arange(size), (draws, 1)), axis=1)


async def _lasting_weights(scorer: Scorer, case: Case) -> Scores | None:
    if not isinstance(scorer, WeightedVote):
        return None
    return await scorer.lasting_weights(case.query, case.candidates)


async def chosen_one_by_one(scorer: Scorer, case: Case, subsets: NDArray[np.int64]) -> Scores:
    """[R] what the choice in each subset [R, k] is worth; of those that tie each wins as often.

    It asks the scorer about every subset: what `weighted_choices` does for votes in one go.
    """
    values, found = values_of(case), []
    for subset in subsets:
        places = sorted(subset.tolist())
        among = taken(case.candidates, places)
        scores = await scorer(case.query, among)
        able = np.array([answer is not None for answer in among.answers]) & ~np.isnan(scores)
        best = scores[able].max() if able.any() else math.nan
        winners = values[places][able & (scores == best)]
        found.append(float(winners.mean()) if len(winners) else 0.0)
    return np.array(found, np.float64)
