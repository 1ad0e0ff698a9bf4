"""Fits how much the votes of each arm of a run count, on other questions than it is measured on.

The best weights of voters depend on how right each is and on how alike their mistakes are; with a
few arms they can be looked for directly, by the accuracy of the vote itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from itertools import product
from keyword import iskeyword

import numpy as np
from numpy.typing import NDArray

from nbest.experiments.analysis.accuracy import Accuracy, accuracy_of, known_as
from nbest.experiments.analysis.case_notes import curve_notes
from nbest.experiments.analysis.curves.exact import graded_cases
from nbest.experiments.analysis.table.rows import named_clusters
from nbest.experiments.questions.reading import ReadingNames
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import load_cases
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.paired import Difference, paired_difference

# Powers of two, so that sums of weights are exact and equal votes are equal.
WEIGHTS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballots:
    """The votes on one question, by answer and arm."""

    counts: NDArray[np.float64]  # [A, K] samples of each arm with each answer, as they first came
    worths: Scores  # [A] 1 right, 0 wrong, nan where the grader cannot say

    def worth(self, weights: Scores, unknown: float = 0.0) -> float:
        """What the winner of a vote with these weights [K] is worth; the first of equals wins."""
        return known_as(float(self.worths[int((self.counts @ weights).argmax())]), unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedWeights:
    """Weights of the arms of a run, and what a vote with them is worth on unseen questions."""

    weights: Mapping[str, float]  # by arm, fitted on all questions
    folds: tuple[Mapping[str, float], ...]  # ... on all questions but those of a fold
    questions: int
    fitted: Accuracy  # of each question with the weights that it had no part in
    plain: Accuracy  # of the vote in which all samples count alike
    gain: Difference  # of the first over the second
    worths: Scores = field(repr=False, compare=False)  # [Q] 1 where the first is right
    notes: tuple[str, ...] = ()  # what no grader could say, and what is left out

    @property
    def selector(self) -> str:
        """The selector with these weights, as a config names it."""
        named = ", ".join(f"{_as_word(arm)}: {weight:g}" for arm, weight in self.weights.items())
        return f"weighted_vote(by=arm_weight(weights={{{named}}}))"

    def as_json(self) -> dict[str, object]:
        """What `--json` prints."""
        return {
            "weights": dict(self.weights),
            "folds": [dict(fold) for fold in self.folds],
            "select": self.selector,
            "questions": self.questions,
            "accuracy": self.fitted.mean,
            "low": self.fitted.low,
            "high": self.fitted.high,
            "accuracy_vote": self.plain.mean,
            "gain": self.gain.mean,
            "gain_low": self.gain.low,
            "gain_high": self.gain.high,
        }


def fit_arm_weights(
    run: StrPath,
    folds: int = 5,
    by: ReadingNames = ReadingNames(),  # noqa: B008 # frozen
) -> FittedWeights:
    """Fit the weights of a run's arms; InputError where it has one arm, or too few questions."""
    loaded = load_cases(run, by.extract, by.grade, by.equivalence)
    graded = graded_cases(loaded)
    return replace(fitted_on(graded, folds), notes=curve_notes({}, loaded, graded))


def fitted_on(cases: Sequence[Case], folds: int) -> FittedWeights:
    """Fit the weights on graded cases, and measure them in turns on questions left out."""
    arms = sorted({arm for case in cases for arm in case.arms} - {""})
    require(folds >= 2, "folds", "be at least 2", folds)
    if len(arms) < 2:
        raise InputError(f"run must have samples of two arms, got {', '.join(arms) or 'none'}")
    clusters = named_clusters([case.cluster for case in cases])
    names = clusters or [case.query.id for case in cases]
    if len(set(names)) < 2 * folds:
        what = "questions" if clusters is None else "templates"
        rule = f"hold {2 * folds} graded {what} for {folds} folds"
        raise InputError(f"run must {rule}, got {len(set(names))}")
    ballots = [ballots_of(case, arms) for case in cases]
    fold_of = np.array(folds_of(names, folds))
    winners = np.zeros((len(cases), len(arms)))  # [Q, K] the weights that each is measured with
    by_fold = []
    for fold in range(folds):
        weights = best_weights([b for b, f in zip(ballots, fold_of, strict=True) if f != fold])
        by_fold.append(dict(zip(arms, weights.tolist(), strict=True)))
        winners[fold_of == fold] = weights
    (least, most), (plain_least, plain_most) = (
        [
            np.array([b.worth(w, unknown) for b, w in zip(ballots, each, strict=True)])
            for unknown in (0.0, 1.0)
        ]
        for each in (winners, np.ones_like(winners))
    )
    weights = best_weights(ballots)
    return FittedWeights(
        weights=dict(zip(arms, weights.tolist(), strict=True)),
        folds=tuple(by_fold),
        questions=len(cases),
        fitted=accuracy_of(least, most, clusters=clusters),
        plain=accuracy_of(plain_least, plain_most, clusters=clusters),
        gain=Difference(
            paired_difference(least, plain_least, clusters=clusters).mean,
            paired_difference(least, plain_most, clusters=clusters).low,
            paired_difference(most, plain_least, clusters=clusters).high,
        ),
        worths=least,
    )


def _as_word(arm: str) -> str:
    """The name as a bare word where an expression takes it for one, else in quotes."""
    return arm if arm.isascii() and arm.isidentifier() and not iskeyword(arm) else repr(arm)


def ballots_of(case: Case, arms: Sequence[str]) -> Ballots:
    """Count the votes of a question by answer and arm; without an answer, one that is wrong."""
    answers = [answer for answer in case.candidates.answers if answer is not None]
    rows = {answer: row for row, answer in enumerate(dict.fromkeys(answers))}
    counts = np.zeros((max(1, len(rows)), len(arms)))
    for answer, arm in zip(case.candidates.answers, case.arms, strict=True):
        if answer is not None and arm:
            counts[rows[answer], arms.index(arm)] += 1
    worths = [case.verdicts[answer] for answer in rows] or [0.0]
    return Ballots(counts=counts, worths=np.array(worths))


def folds_of(names: Sequence[str], folds: int) -> list[int]:
    """[Q] the fold of each question: equal names share one, and folds differ in size by one name.

    It depends on the names alone, not on their order.
    """
    ranked = sorted(set(names), key=lambda name: (blake2b(name.encode()).digest(), name))
    place = {name: rank % folds for rank, name in enumerate(ranked)}
    return [place[name] for name in names]


def best_weights(ballots: Sequence[Ballots]) -> Scores:
    """[K] weights under which many votes are right; of equally good ones, the most equal.

    Of up to three arms they are the best of all combinations of `WEIGHTS`. Of more, one arm after
    the other takes the best, until none gains by a change.
    """
    num_arms = ballots[0].counts.shape[1]
    if num_arms <= 3:
        return max(map(np.array, product(WEIGHTS, repeat=num_arms)), key=partial(_merit, ballots))
    weights = np.ones(num_arms)
    best = _merit(ballots, weights)
    improved = True
    while improved:
        improved = False
        for arm in range(num_arms):
            for weight in WEIGHTS:
                tried = weights.copy()
                tried[arm] = weight
                merit = _merit(ballots, tried)
                if merit > best:
                    weights, best, improved = tried, merit, True
    return weights


def _merit(ballots: Sequence[Ballots], weights: Scores) -> tuple[float, float]:
    """How many votes are right, then how near to equal the weights are."""
    right = math.fsum(question.worth(weights) for question in ballots)
    distance = float(np.abs(np.log2(weights)).sum())
    return right, -distance
