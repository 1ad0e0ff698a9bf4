"""Accuracy against k from stored samples: exact curves over all subsets, question by question.

The gold answers have been used already: a case knows the verdict on each of its answers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nbest.experiments.analysis.accuracy import NOTHING, accuracy_of, known_as
from nbest.experiments.analysis.table.rows import named_clusters
from nbest.experiments.runs.case import Case
from nbest.orchestrator.query.selection import candidates_at
from nbest.orchestrator.store.format.schema import FINAL
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.best_of_k import best_of_k
from nbest.scorers.estimators.majority_at_k import majority_at_k
from nbest.scorers.estimators.pass_at_k import any_at_turns, g_pass_at_k
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
    # [Q] What each question is worth, by k: powers of two, and the largest.
    worths: Mapping[int, Scores] = field(default_factory=dict, repr=False, compare=False)
    # The same, if all that the grader could not say were right.
    worths_most: Mapping[int, Scores] = field(default_factory=dict, repr=False, compare=False)


def curve_of(
    name: str,
    by_question: Scores,
    variances: Scores | None = None,
    subsets: int = 0,
    *,
    most: Scores | None = None,
    clusters: Sequence[str] | None = None,
) -> Curve:
    """Average the curves of the questions [Q, K]; nan at a k where they have no value.

    `variances` [Q, K] are those of means over random `subsets`, so many a question. The spread over
    questions contains them already: the interval needs nothing added. `most` [Q, K] are the curves
    if all that the grader could not say were right, and `clusters` [Q] the questions' templates.
    """
    by_question = by_question.clip(0.0, 1.0)  # sums of chances may be a little more than 1
    upper = by_question if most is None else most
    points = [
        NOTHING if np.isnan(low).any() else accuracy_of(low, high, clusters)
        for low, high in zip(by_question.T, upper.T, strict=True)
    ]
    return Curve(
        name=name,
        mean=tuple(by_question.mean(axis=0).tolist()),
        low=tuple(point.low for point in points),
        high=tuple(point.high for point in points),
        n_queries=len(by_question),
        drawing_error=0.0 if variances is None else _drawing_error(variances),
        subsets=subsets,
        worths={k: by_question[:, k - 1].copy() for k in powers_of_two(len(by_question.T))},
        worths_most={k: upper[:, k - 1].copy() for k in powers_of_two(len(by_question.T))},
    )


def powers_of_two(largest: int) -> tuple[int, ...]:
    """1, 2, 4 and so on, and the largest itself."""
    powers = [1 << i for i in range(largest.bit_length()) if 1 << i <= largest]
    return tuple(dict.fromkeys([*powers, largest]))


def _drawing_error(variances: Scores) -> float:
    estimated = variances[:, ~np.isnan(variances).any(axis=0)]
    return math.sqrt(float(estimated.sum(axis=0).max())) / len(variances)


def graded_cases(cases: Sequence[Case]) -> list[Case]:
    """Keep the cases that can be graded, without samples that never ended.

    Nobody knows what a sample that failed, or was aborted, would have said: it does not count.
    Truncated and unparseable ones count: they are drawn like others, and never win. An answer at
    which the grader fails counts both ways, see `values_of`: to leave out its question would leave
    out a hard one.
    """
    return ended_cases([case for case in cases if case.is_graded])


def ended_cases(cases: Sequence[Case]) -> list[Case]:
    """The cases without samples that never ended; those without any are left out."""
    return [case for case in map(ended, cases) if len(case.candidates)]


def ungraded_samples(cases: Sequence[Case]) -> int:
    """How many samples of graded questions hold an answer at which the grader could not say."""
    return sum(int(np.isnan(case.worths).sum()) for case in cases)


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


def values_of(case: Case, unknown: float = 0.0) -> Scores:
    """[N] 1 for a right answer, 0 for a wrong one and for none, `unknown` where nobody knows."""
    answers = case.candidates.answers
    values = (0.0 if a is None else known_as(case.verdicts[a], unknown) for a in answers)
    return np.fromiter(values, np.float64, len(answers))


def vote_curves(cases: Sequence[Case], max_k: int, unknown: float = 0.0) -> Scores:
    """[Q, K] The accuracy of a vote among k, ties shared."""
    return np.array([_vote_curve(case, max_k, unknown) for case in cases])


def _vote_curve(case: Case, max_k: int, unknown: float) -> Scores:
    counts = Counter(answer for answer in case.candidates.answers if answer is not None)
    values = [known_as(case.verdicts[answer], unknown) for answer in counts]
    nulls = len(case.candidates) - sum(counts.values())
    return majority_at_k(list(counts.values()), values, nulls, max_k)


def best_curves(
    cases: Sequence[Case], scores: Sequence[Scores], max_k: int, unknown: float = 0.0
) -> Scores:
    """[Q, K] The accuracy of the best scored of k, from the scores of each case [N].

    Each score must depend on its candidate alone.
    """
    pairs = zip(cases, scores, strict=True)
    return np.array([best_of_k(answered(c, s), values_of(c, unknown))[:max_k] for c, s in pairs])


def share_curves(cases: Sequence[Case], scores: Sequence[Scores], max_k: int) -> Scores:
    """[Q, K] The vote share, among all, of what the best scored of k answers: no label is used."""
    curves = []
    for case, case_scores in zip(cases, scores, strict=True):
        shares = np.nan_to_num(vote_shares(case.candidates.answers))
        curves.append(best_of_k(answered(case, case_scores), shares)[:max_k])
    return np.array(curves)


def any_curves(cases: Sequence[Case], max_k: int, unknown: float = 0.0) -> Scores:
    """[Q, K] The chance that any of k is right: coverage, pass@k."""
    return np.array([_any_curve(case, unknown)[:max_k] for case in cases])


def _any_curve(case: Case, unknown: float) -> Scores:
    values = values_of(case, unknown)
    return any_at_turns(values, case.arms) if has_arms([case]) else best_of_k(values, values)


def one_curves(cases: Sequence[Case], max_k: int, unknown: float = 0.0) -> Scores:
    """[Q, K] The accuracy of one sample alone: the same at every k, but for a panel's turns."""
    return np.array([_one_curve(case, max_k, unknown) for case in cases])


def _one_curve(case: Case, max_k: int, unknown: float) -> Scores:
    values = values_of(case, unknown)
    if not has_arms([case]):
        return np.full(max_k, values.mean())
    arms = np.array(case.arms)
    means = {arm: values[arms == arm].mean() for arm in set(case.arms)}
    turns = np.array([means[arm] for arm in case.arms[:max_k]])
    of_turns: Scores = turns.cumsum() / np.arange(1, max_k + 1)
    return of_turns


def has_arms(cases: Sequence[Case]) -> bool:
    """Whether the samples were drawn in several ways, which no formula may take for one."""
    return any(len(set(case.arms)) > 1 for case in cases)


def answered_curves(cases: Sequence[Case], max_k: int, unknown: float = 0.0) -> Scores:
    """[Q, K] The accuracy of any sample that holds an answer: what `first` and `random` take."""
    scores = [np.zeros(len(case.candidates)) for case in cases]
    return best_curves(cases, scores, max_k, unknown)


def both_ways(name: str, cases: Sequence[Case], by_unknown: Callable[[float], Scores]) -> Curve:
    """The curve, from the curves of the questions with unknown verdicts as 0, and as 1."""
    most = by_unknown(1.0) if ungraded_samples(cases) else None
    clusters = named_clusters([case.cluster for case in cases])
    return curve_of(name, by_unknown(0.0), most=most, clusters=clusters)


def g_pass_curve(cases: Sequence[Case], max_k: int, share: float) -> Curve:
    """The curve of G-Pass@k: at least this share of k samples is right; a share of 1 is pass^k."""

    def by_question(unknown: float) -> Scores:
        counts = [(len(case.candidates), int(values_of(case, unknown).sum())) for case in cases]
        ks = range(1, max_k + 1)
        return np.array([[g_pass_at_k(n, c, k, share) for k in ks] for n, c in counts])

    name = "all right (pass^k)" if share == 1 else f"{share:.0%} right (G-Pass@k)"
    return both_ways(name, cases, by_question)


def baseline_curves(cases: Sequence[Case], max_k: int) -> tuple[Curve, Curve]:
    """The curves of one sample alone, and of any sample right."""
    return (
        both_ways("one sample", cases, lambda unknown: one_curves(cases, max_k, unknown)),
        both_ways("any right", cases, lambda unknown: any_curves(cases, max_k, unknown)),
    )


def answered(case: Case, scores: Scores) -> Scores:
    """The scores, with nan where there is no answer to win with."""
    has_answer = np.array([answer is not None for answer in case.candidates.answers], np.bool_)
    return np.where(has_answer, scores, np.nan)
