"""From samples to a selection: read the answers, score the candidates, take the best.

Pure but for the scorer that it awaits. It knows no engine, no store and no gold answer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Equivalence, Extractor, ModelCalls, Scorer
from nbest.orchestrator.types import Candidates, Query, Sample, Scores, Selection, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeText:
    """The answer is the text itself, without the white space around it; an empty text has none."""

    def __call__(self, text: str) -> str | None:
        return text.strip() or None


def read_answers(samples: Sequence[Sample], extract: Extractor) -> Candidates:
    """The samples with the answer read in each; only `OK` samples have one."""
    answers = tuple(extract(s.text) if s.status is Status.OK else None for s in samples)
    return Candidates(samples=tuple(samples), answers=answers)


async def merge_answers(
    query: Query, among: Candidates, equivalence: Equivalence | None
) -> Candidates:
    """Answers that mean the same become one text, so that whatever counts them need not know.

    It is the most frequent of them; of equally frequent ones the shortest, then the first in the
    alphabet: the order of the candidates does not matter.
    """
    if equivalence is None:
        return among
    counts = Counter(answer for answer in among.answers if answer is not None)
    distinct = sorted(counts, key=lambda text: (-counts[text], len(text), text))
    groups = await equivalence(query, distinct)
    names: dict[int, str] = {}
    name_of: dict[str | None, str | None] = {
        text: names.setdefault(group, text) for text, group in zip(distinct, groups, strict=True)
    }
    return replace(among, answers=tuple(name_of.get(answer) for answer in among.answers))


async def candidates_from(
    query: Query,
    samples: Sequence[Sample],
    extract: Extractor,
    equivalence: Equivalence | None,
    calls: ModelCalls,
) -> Candidates:
    """The samples as a scorer sees them: answers read and merged, and the calls it may make."""
    read = replace(read_answers(samples, extract), ask=calls.ask, rate=calls.rate)
    return await merge_answers(query, read, equivalence)


def taken(candidates: Candidates, places: Sequence[int]) -> Candidates:
    """Those at these places, as if there were no others."""
    return replace(
        candidates,
        samples=tuple(candidates.samples[i] for i in places),
        answers=tuple(candidates.answers[i] for i in places),
        scores={name: scores[list(places)] for name, scores in candidates.scores.items()},
    )


async def scored(query: Query, among: Candidates, scorer: Scorer) -> Scores:
    """[N] the scores; InputError where there is not one for each candidate."""
    scores = await scorer(query, among)
    if scores.shape != (len(among),):
        raise InputError(
            f"the scores of {scorer!r} must have shape ({len(among)},), got {scores.shape}"
        )
    return scores


async def select(
    query: Query, among: Candidates, scorer: Scorer, min_confidence: float = 0.0
) -> Selection:
    """Score the candidates and choose the best; abstain if its confidence is below the least."""
    selection = choose(among, await scored(query, among, scorer))
    if selection.confidence < min_confidence:
        return replace(selection, index=None, answer=None)
    return selection


def choose(among: Candidates, scores: Scores) -> Selection:
    """The argmax over the candidates that may be voted for; ties go to the lowest index.

    It abstains when no candidate has both an answer and a score. The confidence is the share of
    the answers that agree with the chosen one.
    """
    eligible = _eligible(among, scores)
    best = np.fmax.reduce(eligible) if len(eligible) else math.nan  # nan: there is none
    index = None if math.isnan(best) else int((eligible == best).argmax())
    return _selection(among, eligible, index)


def with_left_over(chosen: Selection, left_over: Sequence[Sample]) -> Selection:
    """The selection with samples that were paid for and never looked at; their scores are nan."""
    return replace(
        chosen,
        samples=(*chosen.samples, *left_over),
        scores=np.concatenate([chosen.scores, np.full(len(left_over), math.nan)]),
    )


def _eligible(among: Candidates, scores: Scores) -> Scores:
    """The scores, with nan for the candidates that have no answer."""
    if None not in among.answers:
        return scores.astype(np.float64)
    pairs = zip(among.answers, scores.tolist(), strict=True)
    return np.array([math.nan if answer is None else score for answer, score in pairs], np.float64)


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
