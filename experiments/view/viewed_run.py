"""A run that is looked at: opened once, its questions read when they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nbest.experiments.language.text import printable
from nbest.experiments.questions.reading import ReadingNames
from nbest.experiments.runs.cases import CaseReader, reading_of
from nbest.experiments.runs.gold_file import read_gold
from nbest.experiments.runs.selectors import (
    known_scorers,
    model_name_of,
)
from nbest.experiments.view.health import Health, health
from nbest.experiments.view.question import QuestionShown, TokenShown, question_shown, tokens_shown
from nbest.experiments.view.rows import QuestionRow, question_row
from nbest.experiments.view.token_texts import token_texts_of
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath, run_name
from nbest.orchestrator.store.choices import Choice, read_choices
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Query, Sample

HEALTH_QUESTIONS = 100  # whose tokens are looked at for the health line

Tell = Callable[[str], None]
"""Gets a line about the progress of a long reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a run is, in a few words."""

    name: str
    path: str  # as it may be shown
    model: str
    questions: int
    selectors: tuple[str, ...]
    notes: tuple[str, ...]  # selectors that cannot be built here


class ViewedRun:
    """A run that is looked at; None stands for the settings of its config."""

    def __init__(
        self,
        run: StrPath,
        selectors: Sequence[str] | None = None,
        by: ReadingNames | None = None,
    ) -> None:
        self._run = RunReader(run)
        names = ReadingNames() if by is None else by
        reading = reading_of(self._run, names.extract, names.grade, names.equivalence)
        self._scorers, notes = known_scorers(selectors, self._run)
        self._gold = read_gold(run)
        self._rows = CaseReader(self._run, reading, self._scorers.values(), self._gold)
        self._whole = CaseReader(self._run, reading, None, self._gold, has_tokens=True)
        self._texts = token_texts_of(self._run)
        self._people = read_choices(run)
        self._queries = {query.id: query for query in self._run.queries}
        self.facts = Facts(
            name=run_name(run),
            path=printable(self._run.shown_path),
            model=model_name_of(self._run),
            questions=len(self._queries),
            selectors=tuple(self._scorers),
            notes=notes,
        )

    @property
    def query_ids(self) -> list[str]:
        """The questions of the run, in their order."""
        return list(self._queries)

    def rows(self) -> list[QuestionRow]:
        """The questions that have samples, in their order; it takes a second for 2,000 of them."""
        return [row for row in self.rows_of(self.query_ids) if row is not None]

    def rows_of(self, ids: Sequence[str]) -> list[QuestionRow | None]:
        """The rows of these questions; None of one that the run lacks, or that has no sample."""
        return wait_for(self._some_rows(ids))

    async def _some_rows(self, ids: Sequence[str]) -> list[QuestionRow | None]:
        return [await self._row(self._queries.get(query_id)) for query_id in ids]

    async def _row(self, query: Query | None) -> QuestionRow | None:
        case = None if query is None else await self._rows.case(query)
        if query is None or case is None:
            return None
        return await question_row(case, self._scorers, self._gold.get(query.id))

    def question(self, query_id: str) -> QuestionShown:
        """One question, whole; InputError where the run has none, or no sample of it."""
        return wait_for(self._question(self._query(query_id)))

    async def _question(self, query: Query) -> QuestionShown:
        drawn = await self._whole.drawn(query)
        case = await self._whole.case_of(query, drawn)
        if case is None:
            raise InputError(f"question {query.id!r} has no sample in {self._run.shown_path!r}")
        gold = self._gold.get(query.id)
        shown = await question_shown(case, self._scorers, gold, self._texts, drawn.grown)
        choice = self._people.get(query.id)
        return shown if choice is None else replace(shown, person=person_sentence(choice))

    def tokens(self, query_id: str, index: int) -> tuple[TokenShown, ...]:
        """The tokens of a sample; none where their texts are not known."""
        for sample in self._samples(self._query(query_id)):
            if sample.id.endswith(f"/s{index}"):
                return tokens_shown(sample, self._texts)
        raise InputError(f"question {query_id!r} has no sample {index}")

    def health(self) -> Health:
        """How sure the model was of its tokens, at the first hundred questions."""
        queries = list(self._queries.values())[:HEALTH_QUESTIONS]
        return health(sample for query in queries for sample in self._samples(query))

    def holding(self, text: str) -> list[str]:
        """The questions with a sample that holds a text, in upper or lower case."""
        wanted = text.casefold()
        return [
            query_id
            for query_id, samples in self._run.samples(columns=["text", "reasoning"])
            if query_id in self._queries
            and any(wanted in f"{s.reasoning}\n{s.text}".casefold() for s in samples)
        ]

    def _samples(self, query: Query) -> Sequence[Sample]:
        return wait_for(self._whole.drawn(query)).samples

    def _query(self, query_id: str) -> Query:
        if query_id not in self._queries:
            raise InputError(f"question must be one of the run's, got {query_id!r}")
        return self._queries[query_id]


def person_sentence(choice: Choice) -> str:
    """Say what a person chose, by the indices of samples, and the comment that they left."""
    who = choice.by or "a person"
    if choice.index is not None:
        tied = ", ".join(map(str, sorted((choice.index, *choice.tied))))
        said = f"{who} chose sample {tied}" if not choice.tied else f"{who} found {tied} the best"
    else:
        said = f"{who} found none right" if choice.none_right else f"{who} skipped it"
    return f"{said}: {choice.comment}" if choice.comment else said
