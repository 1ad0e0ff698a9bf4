"""Questions from files on disk: JSON lines, CSV, Parquet. Paths are relative to the current folder.

A damaged file is refused as a whole, by name and line; a row without a question is only a bad row.

It knows no prompt and no grader.
"""

from __future__ import annotations

import csv
import json
from abc import abstractmethod
from collections.abc import Iterator
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

    kind: Literal["jsonl"] = "jsonl"

    def rows(self, file: Path) -> Iterator[tuple[int, Row]]:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, json_row(line, f"{file}:{number}")


class CsvFile(TableFile):
    """Comma-separated values with a header; every cell stays text."""

    kind: Literal["csv"] = "csv"

    def rows(self, file: Path) -> Iterator[tuple[int, Row]]:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            limit = csv.field_size_limit(MAX_CELL)
            reader = csv.DictReader(lines, strict=True)
            try:
                for number, row in enumerate(reader, start=1):
                    if None in row:
                        raise InputError(
                            f"{file}: row {number} must have no more cells than the header"
                        )
                    yield number, row
            except (csv.Error, UnicodeDecodeError) as error:
                what = f"is no CSV: {one_line(error)}"
                raise InputError(f"{file}:{reader.line_num + 1}: {what}") from error
            finally:
                csv.field_size_limit(limit)  # it is one for the whole process


class ParquetFile(TableFile):
    """An Apache Parquet table."""

    kind: Literal["parquet"] = "parquet"

    def rows(self, file: Path) -> Iterator[tuple[int, Row]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            # Arrow's threads now and then abort a process that ends soon after they began.
            with pq.ParquetFile(file) as parquet:
                table = parquet.read(use_threads=False)
        except pa.ArrowException as error:
            raise InputError(f"{file}: is no Parquet file: {one_line(error)}") from error
        yield from enumerate(table.to_pylist(), start=1)


def json_row(line: bytes, where: str) -> Row:
    """Parse the JSON object on a line; `where` names it in errors."""
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: is no JSON: {one_line(error)}") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}: must be a JSON object, got {shown(row)}")
    return row
