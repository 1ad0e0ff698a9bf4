"""Turns the rows of a table into items: which column is what, and what makes a row bad.

It knows no file format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field

from nbest.experiments.language.section import Section
from nbest.experiments.language.text import shown, suggestion
from nbest.experiments.questions.datasets.options import (
    AnswerIs,
    letter_of,
    option_fields,
    options_of,
)
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.items import Item, as_text
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.requirements import is_unicode

Row = Mapping[str, object]
RESERVED = ("question", "answer", "full_answer")  # what a prompt calls them, whatever the column


def _as_names(value: object) -> object:
    return (
        tuple(value) if isinstance(value, list) else (value,) if isinstance(value, str) else value
    )


class Columns(Section):
    """What the columns of a table mean."""

    name: str | None = Field(
        default=None,
        description="First part of the ids of rows without one, as in gsm8k/17. "
        "Default: the name of the file or of the data set.",
    )
    id: str = Field(
        default="id", description="Column of the ids. Rows without one get their number."
    )
    question: str = Field(default="question", description="Column of the questions.")
    answer: str = Field(
        default="answer", description="Column of the gold answers, kept apart from the prompts."
    )
    meta: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Columns that are kept with the questions for selectors and graders, "
        "as [tests, schema]. Never the column of the gold answers.",
    )
    cluster: str | None = Field(
        default=None,
        description="Column that names the template which a question comes from: intervals then "
        "count templates, not questions.",
    )
    options: Annotated[tuple[str, ...], BeforeValidator(_as_names)] = Field(
        default=(),
        description="Multiple choice: the column with the list of options, or a column for each. "
        "The prompt has them as {options}, a line each with its letter, and as the list choices; "
        "the gold answer becomes a letter. Of several columns the id decides the order.",
    )
    answer_is: AnswerIs = Field(
        default="letter",
        description="With options, what the column of the gold answers holds: the letter, the "
        "index from 0, or the text of the right one.",
    )
    answer_after: str | None = Field(
        default=None,
        min_length=1,
        description="The gold answer is what follows the last of these in its column, "
        'as "####" in GSM8K.',
    )

    def items(self, rows: Sequence[tuple[int, Row]], source: str, name: str) -> tuple[Item, ...]:
        """[Q] Make an item of each row; `rows` come with the numbers that errors and ids use."""
        columns = {key for _, row in rows for key in row}
        self._check_columns(columns, source)
        self._check_meta(columns, source)
        items = tuple(self._item(row, number, name) for number, row in rows)
        if self.answer_after is not None:
            self._check_marker(rows, items, source)
        return items

    def _check_columns(self, columns: set[str], source: str) -> None:
        if not columns:
            return  # no rows at all: `checked` refuses that
        for key in ("question", "id", "answer"):
            column: str = getattr(self, key)
            if column not in columns and (key == "question" or key in self.model_fields_set):
                near = suggestion(column, columns)
                raise InputError(f"dataset.{key}: {source} has no column {shown(column)}{near}")

    def _check_meta(self, columns: set[str], source: str) -> None:
        keys = [*(("meta", name) for name in self.meta), ("cluster", self.cluster)]
        self._check_options(columns, source)
        for key, name in keys:
            if name in (self.answer, "answer", "full_answer"):
                rule = "never name the gold answers: a selector could read them"
                raise InputError(f"dataset.{key} must {rule}, got {shown(name)}")
            if name is not None and columns and name not in columns:
                near = suggestion(name, columns)
                raise InputError(f"dataset.{key}: {source} has no column {shown(name)}{near}")

    def _check_options(self, columns: set[str], source: str) -> None:
        for name in self.options:
            if columns and name not in columns:
                near = suggestion(name, columns)
                raise InputError(f"dataset.options: {source} has no column {shown(name)}{near}")

    @property
    def _kept(self) -> tuple[str, ...]:
        """The columns that stay with the questions."""
        return self.meta if self.cluster is None else (*self.meta, self.cluster)

    def _check_marker(
        self, rows: Sequence[tuple[int, Row]], items: Sequence[Item], source: str
    ) -> None:
        answers = sum(as_text(row.get(self.answer)) is not None for _, row in rows)
        if answers and all(item.gold is None for item in items):
            raise InputError(
                f"dataset.answer_after must be in the answers of {source}, "
                f"got {self.answer_after!r}, which is in none of {answers}"
            )

    def _item(self, row: Row, number: int, name: str) -> Item:
        fields = {
            key: text
            for key, value in row.items()
            if key not in {self.answer, *RESERVED, *self.options}
            and (text := as_text(value)) is not None
        }
        question = row.get(self.question)
        error = question_error(question, self.question, number)
        if not error:
            fields["question"] = as_text(question) or ""
        row_id = (as_text(row.get(self.id)) or "").strip() or f"{name}/{number}"
        if not row_id.isprintable():
            raise InputError(f"row {number}: an id must be printable text, got {shown(row_id)}")
        meta = {name: row[name] for name in self._kept if row.get(name) is not None}
        gold = self._gold(row, number)
        if self.options and not error:
            options = options_of(row, self.options, row_id, number)
            fields |= option_fields(options)
            if gold is not None:
                gold = Gold(answer=letter_of(gold.answer, options, self.answer_is, number))
        return Item(id=row_id, fields=fields, gold=gold, meta=meta, error=error)

    def _gold(self, row: Row, number: int) -> Gold | None:
        value = row.get(self.answer)
        if isinstance(value, list | tuple | dict | bytes):
            rule = "hold one answer, as text or a number"
            raise InputError(f"row {number}: {self.answer} must {rule}, got {shown(value)}")
        full = as_text(value)
        if full is not None and not is_unicode(full):
            rule = "must be valid Unicode, without half a surrogate pair"
            raise InputError(f"row {number}: {self.answer} {rule}, got {shown(full)}")
        if full is None or not full.strip():
            return None
        if self.answer_after is None:
            return Gold(answer=full.strip(), full=full)
        _, marker, answer = full.rpartition(self.answer_after)
        return Gold(answer=answer.strip(), full=full) if marker and answer.strip() else None


def question_error(question: object, column: str, number: int) -> str:
    """Say why this row holds no question; empty where it holds one."""
    if question is None:
        return f"row {number}: {column} must hold a question, got nothing"
    if not isinstance(question, str | int | float) or isinstance(question, bool):
        return f"row {number}: {column} must be text, got {shown(question)}"
    if not str(question).strip():
        return f"row {number}: {column} must hold a question, got blank text"
    return ""
