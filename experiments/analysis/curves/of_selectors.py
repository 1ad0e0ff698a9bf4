"""The curves of selectors over pools of samples, question by question.

Exact over all subsets where there is a closed form: a vote, and any scorer that looks at each
candidate alone. Other selectors, and all where samples were drawn by several arms, are applied to
random subsets, the same ones for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nbest.experiments.analysis.curves.exact import (
    Curve,
    answered,
    answered_curves,
    best_curves,
    curve_of,
    has_arms,
    ungraded_samples,
    vote_curves,
)
from nbest.experiments.analysis.curves.sampled import SampledCurves, sampled_curves
from nbest.experiments.analysis.stored_logprobs import require_logprobs
from nbest.experiments.analysis.table.rows import named_clusters
from nbest.experiments.runs.case import Case
from nbest.orchestrator.protocols import Scorer, is_pointwise
from nbest.orchestrator.query.parts import result_of
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Scores
from nbest.scorers.baselines import First, Random
from nbest.scorers.votes.majority import MajorityVote


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPools:
    """Cases, and what the selectors that look at each candidate alone make of them: once each."""

    cases: Sequence[Case]
    scores: Mapping[str, Sequence[Scores]]  # by selector: of each case, [N]

    @property
    def clusters(self) -> list[str] | None:
        """[Q] The templates of the questions, where the data name them."""
        return named_clusters([case.cluster for case in self.cases])


def scored_pools(scorers: Mapping[str, Scorer], cases: Sequence[Case]) -> ScoredPools:
    """Score the cases by each selector that looks at each candidate alone."""
    for name, scorer in scorers.items():
        require_logprobs(name, scorer, cases)

    async def scored() -> dict[str, list[Scores]]:
        return {
            name: [await result_of("select", scorer, case.query, case.candidates) for case in cases]
            for name, scorer in scorers.items()
            if is_pointwise(scorer) and not isinstance(scorer, MajorityVote | First | Random)
        }

    return ScoredPools(cases=cases, scores=wait_for(scored()))


def selector_curves(
    scorers: Mapping[str, Scorer], pools: ScoredPools, ks: Sequence[int], largest: int
) -> dict[str, Curve]:
    """The curve of each selector, by name."""
    return {n: wait_for(_curve(n, s, pools, ks, largest)) for n, s in scorers.items()}


async def _curve(
    name: str, scorer: Scorer, pools: ScoredPools, ks: Sequence[int], largest: int
) -> Curve:
    """The curve of one selector; without a closed form, nan at every k that `ks` lacks."""
    least = await _question_curves(name, scorer, pools, ks, largest)
    most = None
    if ungraded_samples(pools.cases):
        most = (await _question_curves(name, scorer, pools, ks, largest, unknown=1.0)).means
    variances = least.variances if least.subsets else None
    return curve_of(name, least.means, variances, least.subsets, most=most, clusters=pools.clusters)


def question_curves(
    name: str, scorer: Scorer, pools: ScoredPools, ks: Sequence[int], unknown: float = 0.0
) -> Scores:
    """[Q, K] what a selector's choice among k is worth, K the largest of `ks`.

    Without a closed form, nan at every k that `ks` lacks. An answer at which the grader could not
    say is worth `unknown`.
    """
    return wait_for(_question_curves(name, scorer, pools, ks, max(ks), unknown)).means


async def _question_curves(
    name: str,
    scorer: Scorer,
    pools: ScoredPools,
    ks: Sequence[int],
    largest: int,
    unknown: float = 0.0,
) -> SampledCurves:
    cases, scores = pools.cases, pools.scores.get(name)
    if has_arms(cases):
        if isinstance(scorer, Random):  # any of k is as good as any other
            scores = [np.zeros(len(case.candidates)) for case in cases]
        if scores is not None:
            scores = [answered(c, s) for c, s in zip(cases, scores, strict=True)]
        return await sampled_curves(scorer, cases, ks, largest, unknown, scores)
    if isinstance(scorer, MajorityVote):
        return _exact(vote_curves(cases, largest, unknown))
    if isinstance(scorer, First | Random):
        return _exact(answered_curves(cases, largest, unknown))
    if scores is not None:
        return _exact(best_curves(cases, scores, largest, unknown))
    return await sampled_curves(scorer, cases, ks, largest, unknown)


def _exact(means: Scores) -> SampledCurves:
    return SampledCurves(means=means, variances=np.zeros_like(means), subsets=0)
