"""Rows of foreign files: JSON objects with the place that they come from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbest.experiments.language.text import one_line, shown
from nbest.orchestrator.errors import InputError

Row = dict[str, Any]
Placed = tuple[str, Row]
"""Where a row stands, as `file:line`, and the row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format of JSON rows: how it is told, and what lines of a pool its files are."""

    name: str  # as messages call it
    is_row: Callable[[Row], bool]
    pool_rows: Callable[[Sequence[Path]], Iterator[Placed]]


def json_rows(file: Path) -> Iterator[Placed]:
    """Yield the objects of a file of JSON lines; InputError names the line that is none."""
    try:
        with file.open(encoding="utf-8-sig") as stream:
            for number, text in enumerate(stream, start=1):
                if text.strip():
                    yield f"{file}:{number}", json_object(text, f"{file}:{number}")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: must be UTF-8, got byte {error.object[error.start]}") from error


def json_object(text: str | bytes, where: str) -> Row:
    """Parse one JSON object; InputError where it is none."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: is no JSON: {one_line(error)}") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}: must be a JSON object, got {shown(row)}")
    return row


def as_gold(value: object) -> str | None:
    """A gold answer that is one text or number; None where it is something else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if isinstance(value, str) else str(value) if is_number else None


def mapping(value: object) -> Row:
    """A mapping, or an empty one in the place of anything else."""
    return value if isinstance(value, dict) else {}


def set_keys(row: Row) -> Row:
    """The row without the keys that hold nothing."""
    return {key: value for key, value in row.items() if value is not None}


def number_of(value: object) -> float | None:
    """A number, or a truth value as 1 or 0; None for all else."""
    return float(value) if isinstance(value, bool | int | float) else None


def whole_number(value: object) -> int | None:
    """A number of things, which some programs write as 9.0; None for all else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and value == int(value) else None  # type: ignore[call-overload]


def texts_of(value: object, where: str, key: str) -> list[str]:
    """A list of texts; InputError where it is none."""
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InputError(f"{where}: {key} must be a list of texts, got {shown(value)}")
    return value
