"""From samples to a selection: read the answers, score the candidates, take the best.

Pure but for the scorer that it awaits. It knows no engine, no store and no gold answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.errors import InputError
from orchestrator.types import (
    Candidates,
    Extractor,
    Query,
    Sample,
    Scorer,
    Scores,
    Selection,
    Status,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeText:
    """The answer is the text itself, without the white space around it; an empty text has none."""

    def __call__(self, text: str) -> str | None:
        return text.strip() or None


def read_answers(samples: Sequence[Sample], extract: Extractor) -> Candidates:
    """The samples with the answer read in each; only `OK` samples have one."""
    answers = tuple(extract(s.text) if s.status is Status.OK else None for s in samples)
    return Candidates(samples=tuple(samples), answers=answers)


async def select(query: Query, among: Candidates, scorer: Scorer) -> Selection:
    """Score the candidates and choose the best."""
    scores = await scorer(query, among)
    if scores.shape != (len(among),):
        raise InputError(
            f"the scores of {scorer!r} must have shape ({len(among)},), got {scores.shape}"
        )
    return choose(among, scores)


def choose(among: Candidates, scores: Scores) -> Selection:
    """The argmax over the candidates that may be voted for; ties go to the lowest index.

    It abstains when no candidate has both an answer and a score. The confidence is the share of
    the answers that agree with the chosen one.
    """
    # Lists, because for the few candidates of most queries they take a third of numpy's time.
    eligible = [
        math.nan if answer is None else score
        for answer, score in zip(among.answers, scores.tolist(), strict=True)
    ]
    able = [i for i, score in enumerate(eligible) if not math.isnan(score)]
    index = max(able, key=eligible.__getitem__, default=None)
    return _selection(among, np.array(eligible, np.float64), index)


def _selection(among: Candidates, scores: Scores, index: int | None) -> Selection:
    answer = None if index is None else among.answers[index]
    return Selection(
        index=index,
        answer=answer,
        samples=among.samples,
        scores=scores,
        confidence=float("nan") if answer is None else _agreement(among, answer),
    )


def _agreement(among: Candidates, answer: str) -> float:
    votes = len(among) - among.answers.count(None)
    return among.answers.count(answer) / votes
