"""Accuracy against k from stored samples: exact curves over all subsets, question by question.

The gold answers have been used already: a case knows the verdict on each of its answers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nbest.experiments.runs.cases import Case
from nbest.orchestrator.query.selection import candidates_at
from nbest.orchestrator.store.format.schema import FINAL
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.best_of_k import best_of_k
from nbest.scorers.estimators.intervals import Interval, clustered_interval
from nbest.scorers.estimators.majority_at_k import majority_at_k
from nbest.scorers.votes.majority import vote_shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The mean over questions for k = 1..K, with a 95% interval clustered by question."""

    name: str
    mean: tuple[float, ...]  # [K]
    low: tuple[float, ...]  # [K]
    high: tuple[float, ...]  # [K]
    n_queries: int
    drawing_error: float = 0.0  # the largest standard error that drawing subsets adds; 0: exact
    subsets: int = 0  # drawn of each question; 0: none, it has a closed form


def curve_of(
    name: str, by_question: Scores, variances: Scores | None = None, subsets: int = 0
) -> Curve:
    """Average the curves of the questions [Q, K]; nan at a k where they have no value.

    `variances` [Q, K] are those of means over random `subsets`, so many a question. The spread over
    questions contains them already: the interval needs nothing added.
    """
    unknown = Interval(math.nan, math.nan)
    ends = [
        unknown if np.isnan(column).any() else clustered_interval(np.clip(column, 0.0, 1.0))
        for column in by_question.T
    ]
    return Curve(
        name=name,
        mean=tuple(by_question.mean(axis=0).tolist()),
        low=tuple(end.low for end in ends),
        high=tuple(end.high for end in ends),
        n_queries=len(by_question),
        drawing_error=0.0 if variances is None else _drawing_error(variances),
        subsets=subsets,
    )


def _drawing_error(variances: Scores) -> float:
    estimated = variances[:, ~np.isnan(variances).any(axis=0)]
    return math.sqrt(float(estimated.sum(axis=0).max())) / len(variances)


def graded_cases(cases: Sequence[Case]) -> list[Case]:
    """Keep the cases of which every answer has a verdict, without samples that never ended.

    Nobody knows what a sample that failed, or was aborted, would have said: it does not count.
    Truncated and unparseable ones count: they are drawn like others, and never win.
    """
    return [
        ended(case)
        for case in cases
        if case.is_graded and not any(math.isnan(v) for v in case.verdicts.values())
    ]


def ended(case: Case) -> Case:
    """The case without the samples that never ended."""
    samples = case.candidates.samples
    places = [i for i, sample in enumerate(samples) if sample.status in FINAL]
    if len(places) == len(samples):
        return case
    return replace(case, candidates=candidates_at(case.candidates, places))


def smallest_pool(cases: Sequence[Case]) -> int:
    """The number of samples that every question has."""
    return min((len(case.candidates) for case in cases), default=0)


def values_of(case: Case) -> Scores:
    """[N] 1 for a right answer, 0 for a wrong one and for none."""
    answers = case.candidates.answers
    return np.array([0.0 if a is None else case.verdicts[a] for a in answers], np.float64)


def vote_curves(cases: Sequence[Case], max_k: int) -> Scores:
    """[Q, K] The accuracy of a vote among k, ties shared."""
    return np.array([_vote_curve(case, max_k) for case in cases])


def _vote_curve(case: Case, max_k: int) -> Scores:
    counts = Counter(answer for answer in case.candidates.answers if answer is not None)
    values = [case.verdicts[answer] for answer in counts]
    nulls = len(case.candidates) - sum(counts.values())
    return majority_at_k(list(counts.values()), values, nulls, max_k)


def best_curves(cases: Sequence[Case], scores: Sequence[Scores], max_k: int) -> Scores:
    """[Q, K] The accuracy of the best scored of k, from the scores of each case [N].

    Each score must depend on its candidate alone.
    """
    pairs = zip(cases, scores, strict=True)
    return np.array([best_of_k(_answered(c, s), values_of(c))[:max_k] for c, s in pairs])


def share_curves(cases: Sequence[Case], scores: Sequence[Scores], max_k: int) -> Scores:
    """[Q, K] The vote share, among all, of what the best scored of k answers: no label is used."""
    curves = []
    for case, case_scores in zip(cases, scores, strict=True):
        shares = np.nan_to_num(vote_shares(case.candidates.answers))
        curves.append(best_of_k(_answered(case, case_scores), shares)[:max_k])
    return np.array(curves)


def any_curves(cases: Sequence[Case], max_k: int) -> Scores:
    """[Q, K] The chance that any of k is right: coverage, pass@k."""
    return np.array([best_of_k(values_of(c), values_of(c))[:max_k] for c in cases])


def one_curves(cases: Sequence[Case], max_k: int) -> Scores:
    """[Q, K] The accuracy of one sample alone, the same at every k."""
    return np.array([np.full(max_k, values_of(case).mean()) for case in cases])


def answered_curves(cases: Sequence[Case], max_k: int) -> Scores:
    """[Q, K] The accuracy of any sample that holds an answer: what `first` and `random` take."""
    return best_curves(cases, [np.zeros(len(case.candidates)) for case in cases], max_k)


def _answered(case: Case, scores: Scores) -> Scores:
    """The scores, with nan where there is no answer to win with."""
    has_answer = np.array([answer is not None for answer in case.candidates.answers], np.bool_)
    return np.where(has_answer, scores, np.nan)
