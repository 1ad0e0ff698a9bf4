"""Questions from files on disk: JSON lines, CSV, Parquet. Paths are relative to the current folder.

A damaged file is refused as a whole, by name and line; a row without a question is only a bad row.

It knows no prompt and no grader.
"""

from __future__ import annotations

import csv
import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from nbest.experiments.language.text import one_line, shown
from nbest.experiments.questions.datasets.rows import Columns, Row
from nbest.experiments.questions.items import Item, Questions, checked, with_shots
from nbest.orchestrator.errors import InputError

MAX_CELL = 2**31 - 1  # characters of a cell of CSV; Python's own limit is 131,072


class TableFile(Columns):
    """A file of rows."""

    path: str = Field(min_length=1, description="The file, seen from the current folder.")
    shots_path: str | None = Field(
        default=None,
        min_length=1,
        description="A file of the same format whose first rows become the worked examples. "
        "Default: the first rows of `path`, which are then not asked.",
    )

    def load(self, shots: int = 0, limit: int | None = None) -> Questions:
        """Load the first `limit` questions and `shots` worked examples; no limit changes these."""
        items = self._read("path", self.path)
        others = None if self.shots_path is None else self._read("shots_path", self.shots_path)
        return checked(with_shots(items, shots, others), self.path, limit)

    def _read(self, key: str, path: str) -> tuple[Item, ...]:
        file = Path(path).expanduser()
        if not file.is_file():
            what = "a folder" if file.is_dir() else "no such file"
            raise InputError(f"dataset.{key} must be a file, got {shown(path)} ({what})")
        try:
            rows = list(self.rows(file))
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read: {error.strerror or one_line(error)}"
            ) from error
        return self.items(rows, path, self.name or file.stem)

    @abstractmethod
    def rows(self, file: Path) -> Iterator[tuple[int, Row]]:
        """Yield each row with its number, from 1."""


class JsonlFile(TableFile):
    """One JSON object a line."""

    kind: Literal["jsonl"] = Field(default="jsonl", description="What holds the questions.")

    def rows(self, file: Path) -> Iterator[tuple[int, Row]]:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if number == 1 and (other := what_it_is(file)):
                    raise InputError(f"{file}: is no file of JSON lines: {other}")
                if line.strip():
                    yield number, json_row(line, f"{file}:{number}")


class CsvFile(TableFile):
    """Comma-separated values with a header; every cell stays text."""

    kind: Literal["csv"] = Field(default="csv", description="What holds the questions.")

    def rows(self, file: Path) -> Iterator[tuple[int, Row]]:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            limit = csv.field_size_limit(MAX_CELL)
            reader = csv.reader(lines, strict=True)
            try:
                header = [cell.strip() for cell in next(reader, [])]
                require_columns_once(header, str(file))
                filled = (cells for cells in reader if cells)  # blank lines are no rows
                for number, cells in enumerate(filled, start=1):
                    if len(cells) != len(header):
                        rule = f"have {len(header)} cells, as the header has"
                        raise InputError(f"{file}: row {number} must {rule}, got {len(cells)}")
                    yield number, dict(zip(header, cells, strict=True))
            except (csv.Error, UnicodeDecodeError) as error:
                what = f"is no CSV: {what_it_is(file) or one_line(error)}"
                raise InputError(f"{file}:{reader.line_num + 1}: {what}") from error
            finally:
                csv.field_size_limit(limit)  # it is one for the whole process


class ParquetFile(TableFile):
    """An Apache Parquet table."""

    kind: Literal["parquet"] = Field(default="parquet", description="What holds the questions.")

    def rows(self, file: Path) -> Iterator[tuple[int, Row]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            # Arrow's threads now and then abort a process that ends soon after they began.
            with pq.ParquetFile(file) as parquet:
                table = parquet.read(use_threads=False)
        except pa.ArrowException as error:
            what = what_it_is(file) or one_line(error)
            raise InputError(f"{file}: is no Parquet file: {what}") from error
        require_columns_once(table.column_names, str(file))
        yield from enumerate(table.to_pylist(), start=1)


def require_columns_once(columns: Sequence[str], source: str) -> None:
    """Raise InputError where two columns have one name: nobody knows which is meant."""
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise InputError(f"{source}: every column must be there once, got {shown(twice[0])} twice")


def json_row(line: bytes, where: str) -> Row:
    """Parse the JSON object on a line; `where` names it in errors."""
    try:
        row = json.loads(line.decode("utf-8-sig"), object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: is no JSON: {one_line(error)}") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}: must be a JSON object, got {shown(row)}")
    return row


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    row = dict(pairs)
    if len(row) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {shown(twice)} comes twice")
    return row


_BEGINNINGS = (
    (b"\x1f\x8b", "it is compressed by gzip; unpack it first: gunzip FILE"),
    (b"PK\x03\x04", "it is a ZIP archive; unpack it first"),
    (b"BZh", "it is compressed by bzip2; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "it is compressed by zstd; unpack it first"),
    (b"\xfd7zXZ", "it is compressed by xz; unpack it first"),
    (b"\xff\xfe", "it is UTF-16 text; save it as UTF-8"),
    (b"\xfe\xff", "it is UTF-16 text; save it as UTF-8"),
    (b"PAR1", "it is a Parquet file: dataset.kind is parquet"),
)


def what_it_is(file: Path) -> str:
    """What a file is, and what to do about it, where its first bytes say so; else empty."""
    with file.open("rb") as stream:
        head = stream.read(4096)
    for beginning, what in _BEGINNINGS:
        if head.startswith(beginning):
            return what
    text = head.decode("utf-8-sig", "replace").lstrip()
    if text.startswith("["):
        return "it is one JSON list; JSON lines have one object a line: jq -c '.[]' FILE"
    if text.startswith("{") and text[1:].lstrip(" \t\r")[:1] == "\n":
        return "it holds JSON over several lines; JSON lines have one object a line: jq -c . FILE"
    return ""
