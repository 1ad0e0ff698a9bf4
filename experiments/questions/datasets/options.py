"""Options of multiple choice: which columns hold them, and what letter the right one has."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping, Sequence
from typing import Literal

from nbest.experiments.language.text import shown
from nbest.experiments.questions.items import JsonText, as_text
from nbest.orchestrator.errors import InputError

LETTERS = string.ascii_uppercase
AnswerIs = Literal["text", "letter", "index"]
"""What the column of the gold answers holds: the right option, its letter, or its place from 0."""


def options_of(
    row: Mapping[str, object], columns: Sequence[str], row_id: str, number: int
) -> list[str]:
    """The options of a row, in the order in which they are shown.

    Of one column, its list in its own order. Of several columns, one option each, in an order that
    the row's id decides: in data sets of this kind the right one stands in a column of its own.
    InputError where there are none.
    """
    if len(columns) == 1:
        value = row.get(columns[0])
        # As of pandas and pyarrow: a list of any kind.
        options = [as_text(one) for one in value] if isinstance(value, list | tuple) else []
    else:
        options = [as_text(row.get(column)) for column in columns]
        options = sorted(options, key=lambda text: _order(row_id, text))
    found = [option for option in options if option is not None]
    if not found or len(found) < len(options) or len(found) > len(LETTERS):
        rule = f"hold 1 to {len(LETTERS)} options"
        raise InputError(f"row {number}: {', '.join(columns)} must {rule}, got {shown(options)}")
    return found


def _order(row_id: str, option: str | None) -> str:
    return hashlib.sha256(f"{row_id}\0{option}".encode()).hexdigest()


def letter_of(answer: str, options: Sequence[str], answer_is: AnswerIs, number: int) -> str:
    """The letter of the right option; InputError where the answer names none of them."""
    place: int | None = None
    if answer_is == "letter" and len(answer) == 1:
        place = LETTERS.find(answer.upper())
    elif answer_is == "index" and answer.isdecimal():
        place = int(answer)
    elif answer_is == "text":
        stripped = [option.strip() for option in options]
        if stripped.count(answer) > 1:
            raise InputError(f"row {number}: options must differ, got {shown(answer)} twice")
        place = stripped.index(answer) if answer in stripped else None
    if place is None or not 0 <= place < len(options):
        rule = f"be the {answer_is} of one of its {len(options)} options (dataset.answer_is)"
        raise InputError(f"row {number}: the answer must {rule}, got {shown(answer)}")
    return LETTERS[place]


def option_fields(options: Sequence[str]) -> dict[str, str]:
    """What a prompt may name: `options`, a line each with its letter, and `choices`, the list."""
    lines = (f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    text = as_text(list(options))
    assert isinstance(text, JsonText)
    return {"options": "\n".join(lines), "choices": text}
