"""A session of `nbest pick`: what a person sees, and what a key does.

It knows neither a terminal nor a browser; both show `Screen`s and call `press`.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nbest.experiments.questions.prompts import prompt_text
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.store.choices import Sitting, read_choices
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Query, Sample, Status

PAGE = 9  # one for each of the keys 1 to 9

SKIP, UNDO, NEXT, BACK = "s", "u", "n", "p"


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What a terminal or a browser shows."""

    query_id: str
    question: str
    texts: tuple[str, ...]  # of this page
    page: int
    num_pages: int
    done: int  # questions
    total: int
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
        self._page = 0

    @property
    def screen(self) -> Screen:
        total = len(self._questions)
        done = total - len(self._undecided)
        if not self._undecided:
            return Screen(
                query_id="",
                question="",
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
            question=prompt_text(question.query),
            texts=question.texts[start : start + PAGE],
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
        place = self._page * PAGE + int(key) - 1 if key.isascii() and key.isdigit() else -1
        question = self._questions[self._undecided[0]]
        if not (0 <= place < len(question.indices) and key != "0"):
            return False
        return self._decide(question.indices[place])

    def _decide(self, index: int | None) -> bool:
        question = self._questions[self._undecided[0]]
        self._sitting.add(question.query.id, index, question.indices)
        self._undecided.pop(0)
        self._page = 0
        return True

    def _undo(self) -> bool:
        choice = self._sitting.undo()
        if choice is None:
            return False
        self._undecided.insert(0, choice.query_id)
        self._page = 0
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
