"""What a selector chooses among k samples where there is no closed form: subsets are drawn.

The subsets of a question depend on its id alone, so selectors are compared on the same ones and the
same command prints the same digits. Where there are no more subsets than would be drawn, all of
them are evaluated, and the curve is exact there too.
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
from nbest.experiments.runs.case import Case
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.selection import candidates_at
from nbest.orchestrator.types import Scores
from nbest.scorers.baselines import First
from nbest.scorers.estimators.best_of_k import best_choices
from nbest.scorers.estimators.weighted_at_k import weighted_choices
from nbest.scorers.votes.majority import MajorityVote
from nbest.scorers.votes.weighted import WeightedVote

SUBSETS = 20_000  # of all questions together
FEWEST = 4  # of a question
IN_ONE_GO = 10  # times as many where all are evaluated together; the first are the same


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledCurves:
    """Means by question and k; nan at every k that was not asked for."""

    means: Scores  # [Q, K]
    variances: Scores  # [Q, K] of the means, from drawing subsets; 0 where all were evaluated
    subsets: int  # drawn of each question


async def sampled_curves(
    scorer: Scorer,
    cases: Sequence[Case],
    ks: Sequence[int],
    largest: int,
    unknown: float = 0.0,
    scores: Sequence[Scores] | None = None,
) -> SampledCurves:
    """The mean of what the scorer chooses in random subsets of k, for each of `ks`.

    An answer at which the grader could not say is worth `unknown`. `scores` [Q][N] are those of a
    scorer that looks at each candidate alone, nan where there is no answer; None asks the scorer.
    Samples of a panel change places with those of their own arm alone.
    """
    means = np.full((len(cases), largest), np.nan)
    variances = np.full((len(cases), largest), np.nan)
    draws = most = max(FEWEST, math.ceil(SUBSETS / len(cases)))
    for q, case in enumerate(cases):
        size = len(case.candidates)
        weights = await _lasting_weights(scorer, case)
        draws = most if weights is None and scores is None else IN_ONE_GO * most
        arms = case.arms
        orders = _orders(case.query.id, arms, draws)
        is_panel = len(set(arms)) > 1
        for k in ks:
            is_all = not is_panel and math.comb(size, k) <= max(draws, size)
            subsets = np.array(list(combinations(range(size), k))) if is_all else orders[:, :k]
            if is_panel and isinstance(scorer, First):
                values = first_choices(case, subsets, unknown)
            elif scores is not None:
                values = best_choices(scores[q], values_of(case, unknown), subsets)
            elif weights is None:
                ordered = subsets if is_panel else np.sort(subsets, axis=1)
                values = await chosen_one_by_one(scorer, case, ordered, unknown)
            else:
                answers = case.candidates.answers
                values = weighted_choices(answers, weights, values_of(case, unknown), subsets)
            means[q, k - 1] = values.mean()
            is_certain = is_all or (k == size and not isinstance(scorer, First))
            variances[q, k - 1] = 0.0 if is_certain else values.var(ddof=1) / len(values)
    return SampledCurves(means=means, variances=variances, subsets=draws)


def _orders(query_id: str, arms: Sequence[str], draws: int) -> NDArray[np.int64]:
    """[R, N] Random orders; the first k of each are a random subset, part of that of a larger k.

    `arms` [N] names the arm of each place, and keeps it.
    """
    digest = blake2b(query_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(digest))
    orders = np.tile(np.arange(len(arms)), (draws, 1))
    for arm in dict.fromkeys(arms):
        places = np.array([place for place, name in enumerate(arms) if name == arm])
        orders[:, places] = rng.permuted(np.tile(places, (draws, 1)), axis=1)
    return orders


async def _lasting_weights(scorer: Scorer, case: Case) -> Scores | None:
    if isinstance(scorer, MajorityVote):
        return np.ones(len(case.candidates))
    if not isinstance(scorer, WeightedVote):
        return None
    return await scorer.lasting_weights(case.query, case.candidates)


def first_choices(case: Case, subsets: NDArray[np.int64], unknown: float = 0.0) -> Scores:
    """[R] The value of the first answer in each of `subsets` [R, k]: the arms keep their turns."""
    has_answer = np.array([answer is not None for answer in case.candidates.answers])[subsets]
    first = subsets[np.arange(len(subsets)), has_answer.argmax(axis=1)]
    values: Scores = np.where(has_answer.any(axis=1), values_of(case, unknown)[first], 0.0)
    return values


async def chosen_one_by_one(
    scorer: Scorer, case: Case, subsets: NDArray[np.int64], unknown: float = 0.0
) -> Scores:
    """[R] The value of the choice in each subset [R, k]; those that tie win equally often.

    It asks the scorer about every subset: `weighted_choices` does the same for votes in one go.
    """
    verdicts, values = values_of(case, unknown), []
    for subset in subsets:
        places = subset.tolist()
        candidates = candidates_at(case.candidates, places)
        scores = await scorer(case.query, candidates)
        able = np.array([answer is not None for answer in candidates.answers]) & ~np.isnan(scores)
        best = scores[able].max() if able.any() else math.nan
        winners = verdicts[places][able & (scores == best)]
        values.append(float(winners.mean()) if len(winners) else 0.0)
    return np.array(values, np.float64)
