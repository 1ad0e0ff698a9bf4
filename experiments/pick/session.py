"""A session of `nbest pick`: what a person sees, and what a key does.

It knows neither a terminal nor a browser; both show `Screen`s and call `press`.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nbest.experiments.questions.prompts import prompt_text, question_text
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.store.choices import Sitting, read_choices
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Query, Sample, Status

PAGE = 9  # one for each of the keys 1 to 9
MAX_COMMENT = 2_000  # characters

SKIP, UNDO, NEXT, BACK, NONE_RIGHT, TIE = "s", "u", "n", "p", "0", "t"


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What a terminal or a browser shows."""

    query_id: str
    question: str  # alone, without examples and instructions
    prompt: str  # all that the model read
    texts: tuple[str, ...]  # of this page
    page: int
    num_pages: int
    done: int  # questions
    total: int
    marked: tuple[int, ...] = ()  # of the texts of this page, those that are tied so far
    is_tie: bool = False  # whether keys mark texts that are equally good
    comment: str = ""  # that the next choice will carry
    is_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question and its different texts, each by the index of the first sample that has it."""

    query: Query
    indices: tuple[int, ...]  # in the order in which they are shown
    texts: tuple[str, ...]


class PickSession:
    """The questions of a run that have no choice yet, one after the other."""

    def __init__(self, run: StrPath, by: str = "", seed: int = 0) -> None:
        self.run = run
        self._questions = {q.query.id: q for q in questions_of(run, seed)}
        if not self._questions:
            raise InputError(f"run must hold samples to choose from, {str(run)!r} has none yet")
        decided = read_choices(run)
        self._undecided = [query_id for query_id in self._questions if query_id not in decided]
        self._sitting = Sitting(run, by)
        self._start_question()

    def _start_question(self) -> None:
        self._page = 0
        self._tied: list[int] | None = None  # places of equally good texts; None: one is best
        self._comment = ""

    @property
    def screen(self) -> Screen:
        total = len(self._questions)
        done = total - len(self._undecided)
        if not self._undecided:
            return Screen(
                query_id="",
                question="",
                prompt="",
                texts=(),
                page=0,
                num_pages=0,
                done=done,
                total=total,
                is_over=True,
            )
        question = self._questions[self._undecided[0]]
        start = self._page * PAGE
        return Screen(
            query_id=question.query.id,
            question=question_text(question.query),
            prompt=prompt_text(question.query),
            texts=question.texts[start : start + PAGE],
            marked=tuple(place - start for place in self._tied or () if 0 <= place - start < PAGE),
            is_tie=self._tied is not None,
            comment=self._comment,
            page=self._page,
            num_pages=-(-len(question.texts) // PAGE),
            done=done,
            total=total,
        )

    def press(self, key: str) -> bool:
        """Do what a key means; False if it means nothing here."""
        if key == UNDO:
            return self._undo()
        if not self._undecided:
            return False
        if key in (NEXT, BACK):
            return self._turn(1 if key == NEXT else -1)
        if key == SKIP:
            return self._decide(None)
        if key == NONE_RIGHT:
            return self._decide(None, none_right=True)
        if key == TIE:
            return self._turn_tie()
        place = self._page * PAGE + int(key) - 1 if key.isascii() and key.isdigit() else -1
        question = self._questions[self._undecided[0]]
        if not 0 <= place < len(question.indices):
            return False
        if self._tied is None:
            return self._decide(question.indices[place])
        self._tied = sorted({*self._tied} ^ {place})
        return True

    def comment(self, text: str) -> bool:
        """Say something about the question; the choice that follows carries it."""
        if not self._undecided:
            return False
        self._comment = text.strip()[:MAX_COMMENT]
        return True

    def _turn_tie(self) -> bool:
        """Begin to mark texts that are equally good; again: choose all that are marked."""
        if self._tied is None:
            self._tied = []
            return True
        places, self._tied = self._tied, None
        if len(places) > 1:  # one text alone is no tie, and chooses nothing
            question = self._questions[self._undecided[0]]
            best, *tied = (question.indices[place] for place in places)
            return self._decide(best, tied=tied)
        return True

    def _decide(
        self, index: int | None, *, tied: Sequence[int] = (), none_right: bool = False
    ) -> bool:
        question = self._questions[self._undecided[0]]
        self._sitting.add(
            question.query.id,
            index,
            question.indices,
            tied=tied,
            none_right=none_right,
            comment=self._comment,
        )
        self._undecided.pop(0)
        self._start_question()
        return True

    def _undo(self) -> bool:
        choice = self._sitting.undo()
        if choice is None:
            return False
        self._undecided.insert(0, choice.query_id)
        self._start_question()
        self._comment = choice.comment
        return True

    def _turn(self, by: int) -> bool:
        page = self._page + by
        if not 0 <= page < self.screen.num_pages:
            return False
        self._page = page
        return True


def questions_of(run: StrPath, seed: int) -> list[Question]:
    """The questions that have samples, each with its different texts in an order of its own."""
    reader = RunReader(run)
    samples: Mapping[str, Sequence[Sample]] = dict(reader.samples(columns=["text"]))
    return [_question(q, samples[q.id], seed) for q in reader.queries if q.id in samples]


def _question(query: Query, samples: Sequence[Sample], seed: int) -> Question:
    first: dict[str, int] = {}
    for sample in samples:
        if sample.status is Status.OK and sample.text.strip():
            first.setdefault(sample.text.strip(), index_of(sample.id))
    texts = list(first)
    # So that the place on the screen does not tell which text came first, or most often.
    digest = hashlib.sha256(f"{seed}/{query.id}".encode("utf-8", "replace")).digest()
    random.Random(digest).shuffle(texts)
    return Question(query=query, indices=tuple(first[t] for t in texts), texts=tuple(texts))
