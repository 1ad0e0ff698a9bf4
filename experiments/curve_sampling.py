"""What a selector chooses among k samples where there is no closed form: subsets are drawn.

The subsets of a question depend on its id alone, so selectors are compared on the same ones and the
same command prints the same digits. Where there are no more subsets than would be drawn, all of
them are looked at, and the curve is exact there too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations

import numpy as np

from experiments.curves import taken, values_of
from experiments.evaluate import Case
from orchestrator.protocols import Scorer
from orchestrator.types import Scores

SUBSETS = 20_000  # of all questions together
FEWEST = 4  # of a question


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledCurves:
    """By question and k; nan at the k that nobody asked for."""

    means: Scores  # [Q, K]
    variances: Scores  # [Q, K] of the means, by the drawing; 0 where all subsets were looked at


async def sampled_curves(
    scorer: Scorer, cases: Sequence[Case], ks: Sequence[int], largest: int
) -> SampledCurves:
    """The mean of what the scorer chooses in random subsets of k, for each of `ks`."""
    means = np.full((len(cases), largest), np.nan)
    variances = np.full((len(cases), largest), np.nan)
    draws = subsets_of_a_question(len(cases))
    for q, case in enumerate(cases):
        size, values = len(case.candidates), values_of(case)
        orders = _orders(case.query.id, size, draws)
        for k in ks:
            is_all = math.comb(size, k) <= max(draws, size)
            places = combinations(range(size), k) if is_all else (o[:k] for o in orders)
            found = await _values(scorer, case, values, places)
            means[q, k - 1] = found.mean()
            variances[q, k - 1] = 0.0 if is_all else found.var(ddof=1) / len(found)
    return SampledCurves(means=means, variances=variances)


def subsets_of_a_question(questions: int) -> int:
    """How many are drawn: the spread over questions is the larger part of the error anyway."""
    return max(FEWEST, math.ceil(SUBSETS / questions))


def _orders(query_id: str, size: int, draws: int) -> list[list[int]]:
    """Random orders; the first k of each are a random subset, part of that of any larger k."""
    digest = blake2b(query_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(digest))
    return [rng.permutation(size).tolist() for _ in range(draws)]


async def _values(
    scorer: Scorer, case: Case, values: Scores, subsets: Iterable[Sequence[int]]
) -> Scores:
    """[R] what the choice in each subset is worth; of those that tie each wins as often."""
    found = []
    for subset in subsets:
        places = sorted(subset)
        among = taken(case.candidates, places)
        scores = await scorer(case.query, among)
        able = np.array([answer is not None for answer in among.answers]) & ~np.isnan(scores)
        best = scores[able].max() if able.any() else math.nan
        winners = values[places][able & (scores == best)]
        found.append(float(winners.mean()) if len(winners) else 0.0)
    return np.array(found, np.float64)
