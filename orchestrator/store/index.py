"""Finds the stored samples of a query, and reads them only on demand.

The index holds, for each query id, which blocks (row groups) of which parts have samples of it:
some 200 bytes a query, however many samples there are. The blocks that were used last stay in
memory, up to a number of bytes. Compaction puts the samples of a query side by side, so that going
through a run query by query decodes each block once.

This module knows no writer and no event loop.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from nbest.orchestrator.store.format.arrow import Column, Table
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.format.names import SAMPLES
from nbest.orchestrator.store.format.parquet import DamagedFile, despite_compaction, open_part
from nbest.orchestrator.store.format.schema import FINAL, top_of
from nbest.orchestrator.store.format.schema import SAMPLES as SCHEMA
from nbest.orchestrator.types import Sample, Status

CACHE_BYTES = 64 << 20

Place = tuple[str, int]
"""A block: name of the part, number of the row group. Sorted, they are in the order of commits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The files of samples at one moment."""

    parts: frozenset[str]  # the names of all parts
    query_ids: dict[Place, list[str]]  # of the blocks of new parts
    damaged: tuple[DamagedFile, ...]


class SampleIndex:
    """The samples that a run had when its files were last listed."""

    def __init__(
        self,
        folder: RunFolder,
        cache_bytes: int = CACHE_BYTES,
        columns: Collection[str] | None = None,
    ) -> None:
        """`columns`: the fields of `Sample` to read; None for all."""
        self._folder = folder
        self._columns = None if columns is None else _read_columns(columns)
        self._parts: frozenset[str] = frozenset()
        self._places: dict[str, list[Place]] = {}
        self._cache: OrderedDict[Place, SampleBlock] = OrderedDict()
        self._cache_bytes = cache_bytes
        self.damaged: list[DamagedFile] = []
        self.include(self.look())

    def __iter__(self) -> Iterator[str]:
        """Yield the query ids, in the order in which their first samples were committed."""
        return iter(self._places)

    def get(self, query_id: str, index: int) -> Sample | None:
        """Return the final sample of that key; None also where all have failed or were aborted."""
        if query_id not in self._places:
            return None
        return despite_compaction(self._folder, lambda: self._get(query_id, index))

    def samples(self, query_id: str) -> dict[int, Sample]:
        """Return all samples of a query by index, lowest first, failed and aborted ones too."""
        return despite_compaction(self._folder, lambda: self._samples(query_id))

    def unread_places(self, query_id: str) -> list[Place]:
        """The blocks with samples of a query that are not in memory."""
        return [place for place in self._places.get(query_id, []) if place not in self._cache]

    def read_blocks(self, places: Sequence[Place]) -> dict[Place, SampleBlock]:
        """Read blocks, for `keep`; it changes nothing, so it may be called in a thread.

        Blocks that cannot be read are left to `get`, which says so.
        """
        blocks: dict[Place, SampleBlock] = {}
        for place in places:
            with suppress(DamagedFile, FileNotFoundError):
                blocks[place] = self._decoded(place)
        return blocks

    def keep(self, blocks: Mapping[Place, SampleBlock]) -> None:
        """Keep blocks in memory, the ones used last longest."""
        self._cache.update(blocks)
        while len(self._cache) > 1 and self._cached_bytes() > self._cache_bytes:
            self._cache.popitem(last=False)

    def look(self) -> Listing:
        """List the files, and read the query ids of new ones. Does not change the index."""
        return despite_compaction(self._folder, self._look)

    def include(self, listing: Listing) -> None:
        """Make the index match a listing: add its new parts, drop parts that are not in it."""
        gone = self._parts - listing.parts
        if gone:
            for query_id, places in self._places.items():
                self._places[query_id] = [place for place in places if place[0] not in gone]
        for place, query_ids in listing.query_ids.items():
            for query_id in query_ids:
                insort(self._places.setdefault(query_id, []), place)
        self._parts = listing.parts
        self.damaged.extend(listing.damaged)

    def _look(self) -> Listing:
        parts = frozenset(self._folder.parts(SAMPLES))
        query_ids: dict[Place, list[str]] = {}
        damaged = []
        for name in sorted(parts - self._parts):
            try:
                with open_part(self._folder, name) as file:
                    for group in range(file.num_row_groups):
                        table = file.read_row_group(group, columns=["query_id"])
                        query_ids[name, group] = table["query_id"].unique().to_pylist()
            except DamagedFile as damage:
                damaged.append(damage)
        return Listing(parts=parts, query_ids=query_ids, damaged=tuple(damaged))

    def _get(self, query_id: str, index: int) -> Sample | None:
        for place in self._places[query_id]:
            block = self._block(place)
            row = block.rows.get(query_id, {}).get(index)
            if row is not None and block.is_final(row):
                return block.sample(row)
        return None

    def _samples(self, query_id: str) -> dict[int, Sample]:
        places = self._places.get(query_id, [])
        if len(places) == 1:  # nearly always, where files have been merged
            block = self._block(places[0])
            return {i: block.sample(row) for i, row in sorted(block.rows.get(query_id, {}).items())}
        rows: dict[int, tuple[SampleBlock, int]] = {}
        for place in places:
            block = self._block(place)
            for index, row in block.rows.get(query_id, {}).items():
                first, first_row = rows.setdefault(index, (block, row))
                if block.is_final(row) and not first.is_final(first_row):
                    rows[index] = block, row
        return {index: block.sample(row) for index, (block, row) in sorted(rows.items())}

    def _cached_bytes(self) -> int:
        return sum(block.num_bytes for block in self._cache.values())

    def _block(self, place: Place) -> SampleBlock:
        if place in self._cache:
            self._cache.move_to_end(place)
            return self._cache[place]
        block = self._read(place)
        self.keep({place: block})
        return block

    def _decoded(self, place: Place) -> SampleBlock:
        name, group = place
        with open_part(self._folder, name) as file:
            return SampleBlock(file.read_row_group(group, columns=self._columns))

    def _read(self, place: Place) -> SampleBlock:
        try:
            return self._decoded(place)
        except DamagedFile as damage:
            self.damaged.append(damage)
            return SampleBlock(SCHEMA.empty_table())
        except FileNotFoundError:  # compacted: its samples are in another part now
            self.include(self.look())
            raise


def _read_columns(fields: Collection[str]) -> list[str]:
    """Return the columns to read for these fields, with those that decide which row counts."""
    return ["query_id", "index", *sorted({"id", "status", *fields})]


# Columns of later versions, null where parts of both were merged.
_LATER: dict[str, str | int] = {"reasoning": "", "reasoning_tokens": 0, "arm": "", "stop": ""}

_ROW_BYTES = 1000  # about what the Python objects of a row take, besides its text


_Number = TypeVar("_Number", int, float)


class SampleBlock:
    """A part of a samples table, and where each key stands in it."""

    def __init__(self, table: Table) -> None:
        names = set(table.column_names)  # all, or those that a reader asked for
        self._token_ids = _Lists[int](table["token_ids"]) if "token_ids" in names else None
        self._logprobs = _Lists[float](table["logprobs"]) if "logprobs" in names else None
        self._statuses = [Status(text) for text in table["status"].to_pylist()]
        self._top = _top_column(table)
        plain = names - {"query_id", "index", "status", "token_ids", "logprobs", "top_logprobs"}
        columns = {name: table[name].to_pylist() for name in plain & set(SCHEMA.names)}
        columns.setdefault("text", [""] * len(table))
        for name, nothing in _LATER.items():
            if name in columns:
                columns[name] = [value or nothing for value in columns[name]]
        self._plain = tuple(columns)
        self._plain_rows = list(zip(*columns.values(), strict=True))
        self.num_bytes: int = table.nbytes + _ROW_BYTES * len(table)
        self.rows = self._find(table["query_id"].to_pylist(), table["index"].to_pylist())

    def is_final(self, row: int) -> bool:
        return self._statuses[row] in FINAL

    def sample(self, row: int) -> Sample:
        return Sample(
            token_ids=(() if self._token_ids is None else self._token_ids[row]) or (),
            logprobs=None if self._logprobs is None else self._logprobs[row],
            top_logprobs=top_of(self._top[row].as_py()) if self._top is not None else None,
            status=self._statuses[row],
            **dict(zip(self._plain, self._plain_rows[row], strict=True)),
        )

    def _find(self, query_ids: list[str], indices: list[int]) -> dict[str, dict[int, int]]:
        """Return the row that counts, by query id and sample index."""
        rows: dict[str, dict[int, int]] = {}
        for row, (query_id, index) in enumerate(zip(query_ids, indices, strict=True)):
            first = rows.setdefault(query_id, {}).setdefault(index, row)
            if first != row and not self.is_final(first) and self.is_final(row):
                rows[query_id][index] = row
        return rows


def _top_column(table: Table) -> Column | None:
    """Return the column; None where no row has a value, and in runs older than the column."""
    if "top_logprobs" not in table.column_names:
        return None
    column = table["top_logprobs"]
    return None if column.null_count == len(column) else column


class _Lists(Generic[_Number]):
    """A column of lists, kept flat. Item i is the tuple of row i, or None where it has no list."""

    def __init__(self, column: Column) -> None:
        array = column.combine_chunks()
        # `to_numpy` would import pandas where it is installed, which takes a quarter of a second.
        self._values = np.from_dlpack(array.values)
        self._offsets: list[int] = array.offsets.to_pylist()
        self._is_null: list[bool] = array.is_null().to_pylist()

    def __getitem__(self, row: int) -> tuple[_Number, ...] | None:
        if self._is_null[row]:
            return None
        return tuple(self._values[self._offsets[row] : self._offsets[row + 1]].tolist())
