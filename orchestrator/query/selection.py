"""From samples to a selection: read the answers, score the candidates, take the best.

Pure but for the scorer that it awaits. It knows no engine, no store and no gold answer.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Equivalence, Extractor, ModelCalls, Scorer
from nbest.orchestrator.query.parts import part_failure, result_of
from nbest.orchestrator.reasoning import without_reasoning
from nbest.orchestrator.types import Candidates, Query, Sample, Scores, Selection, Status

MAX_HELD_S = 0.01  # how long reading answers may hold the event loop
_FEW_CHARACTERS = 4_000  # of a turn, that are read in a few milliseconds
_A_TURN = 8  # samples that are read between two looks at the clock


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeText:
    """The answer is the text itself, without the white space around it; an empty text has none.

    What a model thought first, between tags, is no part of it, unless `reads_reasoning`.
    """

    reads_reasoning: bool = False

    def __call__(self, text: str) -> str | None:
        return (text if self.reads_reasoning else without_reasoning(text)).strip() or None


def read_answers(samples: Sequence[Sample], extract: Extractor) -> Candidates:
    """The samples with the answer read in each; only `OK` samples have one."""
    try:
        answers = tuple(_read(extract, s) if s.status is Status.OK else None for s in samples)
    # An extractor may be the user's own.
    except Exception as error:
        raise part_failure("extract", extract, error) from error
    return Candidates(samples=tuple(samples), answers=answers)


def _read(extract: Extractor, sample: Sample) -> str | None:
    """The answer in a sample; an extractor that asks for it reads the thought as well."""
    if sample.reasoning and getattr(extract, "reads_reasoning", False):
        return extract(f"<think>{sample.reasoning}</think>{sample.text}")
    return extract(sample.text)


async def read_in_turns(samples: Sequence[Sample], extract: Extractor) -> Candidates:
    """Do as `read_answers` does, and let the event loop go round where that takes a while.

    Long texts are read in a thread: some extractors mend what they read.
    """
    answers: list[str | None] = []
    held_since_s = time.monotonic()
    for start in range(0, len(samples), _A_TURN):
        turn = samples[start : start + _A_TURN]
        if sum(len(sample.text) for sample in turn) <= _FEW_CHARACTERS:
            answers += read_answers(turn, extract).answers
        else:
            answers += (await asyncio.to_thread(read_answers, turn, extract)).answers
        if time.monotonic() - held_since_s > MAX_HELD_S:
            await asyncio.sleep(0)
            held_since_s = time.monotonic()
    return Candidates(samples=tuple(samples), answers=tuple(answers))


async def merge_answers(
    query: Query, candidates: Candidates, equivalence: Equivalence | None
) -> Candidates:
    """Give answers that mean the same one text, so that scorers can count equal texts.

    It is the most frequent of their texts; of equally frequent ones the shortest, then the first in
    the alphabet: the order of the candidates does not matter.
    """
    if equivalence is None:
        return candidates
    counts = Counter(answer for answer in candidates.answers if answer is not None)
    distinct = sorted(counts, key=lambda text: (-counts[text], len(text), text))
    groups = await result_of("equivalence", equivalence, query, distinct)
    if len(groups) != len(distinct):
        rule = f"give one number for each of {len(distinct)} answers"
        raise InputError(f"equivalence {equivalence!r} must {rule}, got {len(groups)}")
    names: dict[int, str] = {}
    name_of: dict[str | None, str | None] = {
        text: names.setdefault(group, text) for text, group in zip(distinct, groups, strict=True)
    }
    return replace(candidates, answers=tuple(name_of.get(answer) for answer in candidates.answers))


async def candidates_from(
    query: Query,
    samples: Sequence[Sample],
    extract: Extractor,
    equivalence: Equivalence | None,
    calls: ModelCalls,
) -> Candidates:
    """The samples as a scorer sees them: answers read and merged, and the calls it may make."""
    read = await read_in_turns(samples, extract)
    candidates = with_calls(read, calls)
    return await merge_answers(query, candidates, equivalence)


def with_calls(candidates: Candidates, calls: ModelCalls) -> Candidates:
    """The candidates with the calls that a scorer may make about them."""
    return replace(candidates, ask=calls.ask, ask_model=calls.ask_model, rate=calls.rate)


def candidates_at(candidates: Candidates, places: Sequence[int]) -> Candidates:
    """The candidates at these places, as if there were no others."""
    return replace(
        candidates,
        samples=tuple(candidates.samples[i] for i in places),
        answers=tuple(candidates.answers[i] for i in places),
        scores={name: scores[list(places)] for name, scores in candidates.scores.items()},
    )


async def score_candidates(query: Query, candidates: Candidates, scorer: Scorer) -> Scores:
    """Score the candidates: [N]; InputError unless there is one score for each."""
    scores = await result_of("select", scorer, query, candidates)
    try:
        scores = np.asarray(scores, np.float64)
    except (TypeError, ValueError) as error:
        rule = f"be numbers, an array of shape ({len(candidates)},)"
        raise InputError(f"the scores of {scorer!r} must {rule}, got {scores!r}") from error
    if scores.shape != (len(candidates),):
        raise InputError(
            f"the scores of {scorer!r} must have shape ({len(candidates)},), got {scores.shape}"
        )
    return scores


async def select(
    query: Query, candidates: Candidates, scorer: Scorer, min_confidence: float = 0.0
) -> Selection:
    """Score the candidates and choose the best; abstain below the least confidence."""
    selection = choose(candidates, await score_candidates(query, candidates, scorer))
    if selection.confidence < min_confidence:
        return replace(selection, index=None, answer=None)
    return selection


def choose(candidates: Candidates, scores: Scores) -> Selection:
    """Take the argmax over the candidates that may be voted for; ties go to the lowest index.

    It abstains when no candidate has both an answer and a score. The confidence is the share of
    the answers that agree with the chosen one.
    """
    eligible = _eligible(candidates, scores)
    return _selection(candidates, eligible, _place_of_largest(eligible))


def _place_of_largest(scores: Scores) -> int | None:
    """The first place of the largest score; None where none is a number."""
    if not len(scores):
        return None
    place = int(scores.argmax())
    if not math.isnan(scores[place]):
        return place
    best = np.fmax.reduce(scores)  # argmax prefers nan
    return None if math.isnan(best) else int((scores == best).argmax())


def with_left_over(selection: Selection, left_over: Sequence[Sample]) -> Selection:
    """Add the samples that were paid for and never looked at; their scores are nan."""
    return replace(
        selection,
        samples=(*selection.samples, *left_over),
        scores=np.concatenate([selection.scores, np.full(len(left_over), math.nan)]),
    )


def _eligible(candidates: Candidates, scores: Scores) -> Scores:
    """The scores, with nan for the candidates that have no answer."""
    if None not in candidates.answers:
        return scores.astype(np.float64)
    pairs = zip(candidates.answers, scores.tolist(), strict=True)
    return np.array([math.nan if answer is None else score for answer, score in pairs], np.float64)


def _selection(candidates: Candidates, scores: Scores, index: int | None) -> Selection:
    answer = None if index is None else candidates.answers[index]
    return Selection(
        index=index,
        answer=answer,
        samples=candidates.samples,
        scores=scores,
        confidence=float("nan") if answer is None else _agreement(candidates, answer),
    )


def _agreement(candidates: Candidates, answer: str) -> float:
    votes = len(candidates) - candidates.answers.count(None)
    return candidates.answers.count(answer) / votes
