"""The questions that a report shows with their candidates: best, worst, most contested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.prompts import QUESTION
from nbest.experiments.runs.case import Case

SHOWN_CHARACTERS = 1500  # of a text
SHOWN_ANSWERS = 5  # of a question


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerShown:
    """One answer to a question, with a sample that gives it."""

    answer: str
    votes: int
    is_right: bool | None  # None: ungraded
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionShown:
    """A question with its most frequent answers."""

    id: str
    prompt: str
    share_right: float  # of the samples; nan where nothing is graded
    num_right: int  # samples, beyond doubt
    is_graded: bool
    num_samples: int
    num_silent: int  # without an answer
    answers: tuple[AnswerShown, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownQuestions:
    """The questions of a run that a report shows."""

    best: tuple[QuestionShown, ...]  # of which most samples are right
    worst: tuple[QuestionShown, ...]  # of which fewest are
    contested: tuple[QuestionShown, ...]  # whose leading answer is least ahead


def shown_questions(cases: Sequence[Case], graded: Sequence[Case], count: int) -> ShownQuestions:
    """Pick `count` questions of each sort, none of them twice.

    The worst are not all right, and the best not all wrong.
    """
    disputed = _first(cases, count, lambda case: (_margin(case), case.query.id))
    seen = {case.query.id for case in disputed}
    rest = [case for case in graded if case.query.id not in seen]
    low = [case for case in rest if _share(case) < 1]
    bad = _first(low, count, lambda case: (_share(case), case.query.id))
    seen |= {case.query.id for case in bad}
    high = [case for case in rest if case.query.id not in seen and _share(case) > 0]
    good = _first(high, count, lambda case: (-_share(case), case.query.id))
    return ShownQuestions(
        best=tuple(map(_question, good)),
        worst=tuple(map(_question, bad)),
        contested=tuple(map(_question, disputed)),
    )


def _first(
    cases: Sequence[Case], count: int, key: Callable[[Case], tuple[float, str]]
) -> list[Case]:
    return sorted(cases, key=key)[:count]


def _share(case: Case) -> float:
    """The share of its samples that are right, beyond doubt."""
    return float(np.mean([worth == 1.0 for worth in case.worths])) if case.worths else 0.0


def _margin(case: Case) -> float:
    """How far the leader is ahead, as a share of the votes; 1 where there are none."""
    votes = sorted(Counter(a for a in case.candidates.answers if a is not None).values())
    if not votes:
        return 1.0
    second = votes[-2] if len(votes) > 1 else 0
    return (votes[-1] - second) / sum(votes)


def _question(case: Case) -> QuestionShown:
    answers = case.candidates.answers
    votes = Counter(answer for answer in answers if answer is not None)
    texts = {a: s.text for a, s in zip(answers, case.candidates.samples, strict=True)}
    prompt = case.query.prompt
    text = prompt if isinstance(prompt, str) else "\n".join(m.content for m in prompt)
    return QuestionShown(
        id=case.query.id,
        prompt=text[-SHOWN_CHARACTERS:],
        share_right=_share(case) if case.is_graded else float("nan"),
        num_right=sum(worth == 1.0 for worth in case.worths),
        is_graded=case.is_graded,
        num_samples=len(answers),
        num_silent=answers.count(None),
        answers=tuple(
            AnswerShown(
                answer=answer[:SHOWN_CHARACTERS],
                votes=count,
                is_right=None if np.isnan(v := case.verdicts[answer]) else v == 1.0,
                text=texts[answer][:SHOWN_CHARACTERS],
            )
            for answer, count in votes.most_common(SHOWN_ANSWERS)
        ),
    )


def question_keys(cases: Sequence[Case], gold: Mapping[str, Gold]) -> dict[str, int]:
    """By id a number for the question and its gold answer, whatever prompt is made of it."""
    keys = {}
    for case in cases:
        asked = case.query.meta.get(QUESTION, case.query.prompt)
        answer = gold.get(case.query.id)
        keys[case.query.id] = hash((str(asked), answer and answer.answer))
    return keys
