"""Some rows of the samples of a run, kept as columns: a Sample is made when it is asked for.

A tuple takes about five times the room of the column that it came from, so a million samples can
only be looked through one block after the other. This module knows no file.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np

from nbest.orchestrator.store.format.arrow import Column, Table
from nbest.orchestrator.store.format.schema import FINAL, SAMPLES, top_of
from nbest.orchestrator.types import Sample, Status

_ROW_BYTES = 1000  # about what the Python objects of a row take, besides its text

_Number = TypeVar("_Number", int, float)


class SampleBlock:
    """A part of a samples table, and where each key stands in it."""

    def __init__(self, table: Table) -> None:
        self._token_ids = _Lists[int](table["token_ids"])
        self._logprobs = _Lists[float](table["logprobs"])
        self._statuses = [Status(text) for text in table["status"].to_pylist()]
        self._top = _top_column(table)
        apart = ("status", "token_ids", "logprobs", "top_logprobs")
        names = [n for n in SAMPLES.names[2:] if n not in apart]
        self._plain = {name: table[name].to_pylist() for name in names}
        self.num_bytes: int = table.nbytes + _ROW_BYTES * len(table)
        self.rows = self._find(table["query_id"].to_pylist(), table["index"].to_pylist())

    def is_final(self, row: int) -> bool:
        return self._statuses[row] in FINAL

    def sample(self, row: int) -> Sample:
        return Sample(
            token_ids=self._token_ids[row] or (),
            logprobs=self._logprobs[row],
            top_logprobs=top_of(self._top[row].as_py()) if self._top is not None else None,
            status=self._statuses[row],
            **{name: column[row] for name, column in self._plain.items()},
        )

    def _find(self, query_ids: list[str], indices: list[int]) -> dict[str, dict[int, int]]:
        """Query id -> index -> the row that counts among those of that key."""
        rows: dict[str, dict[int, int]] = {}
        for row, (query_id, index) in enumerate(zip(query_ids, indices, strict=True)):
            first = rows.setdefault(query_id, {}).setdefault(index, row)
            if first != row and not self.is_final(first) and self.is_final(row):
                rows[query_id][index] = row
        return rows


def _top_column(table: Table) -> Column | None:
    """None where no row has any, and in runs from before there was such a column."""
    if "top_logprobs" not in table.column_names:
        return None
    column = table["top_logprobs"]
    return None if column.null_count == len(column) else column


class _Lists(Generic[_Number]):
    """A column of lists, kept flat. Item i is the tuple of row i, or None where it has no list."""

    def __init__(self, column: Column) -> None:
        array = column.combine_chunks()
        # Not `to_numpy`, for that imports pandas where there is one: a quarter of a second.
        self._values = np.from_dlpack(array.values)
        self._offsets: list[int] = array.offsets.to_pylist()
        self._is_null: list[bool] = array.is_null().to_pylist()

    def __getitem__(self, row: int) -> tuple[_Number, ...] | None:
        if self._is_null[row]:
            return None
        return tuple(self._values[self._offsets[row] : self._offsets[row + 1]].tolist())
