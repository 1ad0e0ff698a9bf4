"""Writes tables as Parquet files and reads them back.

A file carries the version of its schema. One that cannot be read whole is a DamagedFile: never a
crash, and never part of its rows. This module knows no sample, no record and no key.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeVar

import numpy as np

from nbest.orchestrator.errors import StoreError
from nbest.orchestrator.store.format.arrow import (
    Column,
    DataType,
    ParquetFile,
    Schema,
    Table,
    pa,
    parquet,
)
from nbest.orchestrator.store.format.files import RunFolder, cause_of
from nbest.orchestrator.store.format.names import part_name, part_stamp_ns

SCHEMA_VERSION = 1  # to be raised when older code would misread a file
GROUP_ROWS = 4096  # the most rows that are decoded together,
GROUP_BYTES = 16 << 20  # and about the most bytes

_VERSION_KEY = b"nbest.schema"
# Few distinct values: a dictionary pays. For the other columns it costs more than it saves.
_DICTIONARY = {"query_id", "status", "error", "engine", "strategy", "outcome"}
# Doubles whose bytes are regrouped compress better and, here, faster.
_BYTE_STREAM_SPLIT = {"logprobs": "logprobs.list.element", "score": "score"}
_LISTINGS = 5  # one fails only if a new compaction began since the one before

_Read = TypeVar("_Read")


class DamagedFile(StoreError):
    """A committed file that cannot be read; its rows count as missing."""


def table_of(schema: Schema, columns: Mapping[str, Sequence[object]]) -> Table:
    """Build a table of that schema from columns of equal length."""
    arrays = [_array(columns[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def encode(table: Table) -> bytes:
    """Return a table as the bytes of one Parquet file."""
    rows_of_group_bytes = GROUP_BYTES * len(table) // max(table.nbytes, 1)
    names = set(table.column_names)
    split = [path for name, path in _BYTE_STREAM_SPLIT.items() if name in names]
    sink = pa.BufferOutputStream()
    parquet.write_table(
        table.replace_schema_metadata({_VERSION_KEY: str(SCHEMA_VERSION)}),
        sink,
        row_group_size=min(GROUP_ROWS, max(1, rows_of_group_bytes)),
        compression="zstd",
        use_dictionary=sorted(names & _DICTIONARY),
        use_byte_stream_split=split,
        write_page_checksum=True,
    )
    data: bytes = sink.getvalue().to_pybytes()
    return data


@contextmanager
def open_part(folder: RunFolder, name: str) -> Iterator[ParquetFile]:
    """Open a committed part. Raises DamagedFile, or FileNotFoundError if compaction deleted it."""
    where = f"{name} in {folder.path!r}"
    try:
        with (
            folder.open(name) as stream,
            parquet.ParquetFile(stream, page_checksum_verification=True) as file,
        ):
            _check_version(where, file.schema_arrow.metadata or {})
            yield file
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        # A decoding error of Arrow has no errno. With one, the disk failed; the file may be intact.
        if isinstance(error, OSError) and error.errno:
            raise StoreError(f"{where} cannot be read: {cause_of(error)}") from error
        raise DamagedFile(f"{where} is damaged: {cause_of(error)}") from error


def read_parts(
    folder: RunFolder, kind: str, columns: Sequence[str] | None = None
) -> tuple[list[Table], list[DamagedFile]]:
    """Read the parts of one kind, first committed first; return also those that are damaged."""

    def read() -> tuple[list[Table], list[DamagedFile]]:
        tables, damaged = [], []
        for name in folder.parts(kind):
            try:
                with open_part(folder, name) as file:
                    tables.append(file.read(columns=columns, use_threads=False))
            except DamagedFile as damage:
                damaged.append(damage)
        return tables, damaged

    return despite_compaction(folder, read)


class PartWriter:
    """Commits tables under names of its own, which sort after all that the run had at the start."""

    def __init__(self, folder: RunFolder, kinds: Collection[str]) -> None:
        self._folder = folder
        self._writer = secrets.token_hex(4)
        last = [parts[-1] for parts in map(folder.parts, kinds) if parts]
        self._stamp_ns = max(map(part_stamp_ns, last), default=0)
        self._folders = set(kinds)

    def commit(self, kind: str, table: Table) -> None:
        """Write a table as a new part; when this returns, the rows are on disk."""
        if kind not in self._folders:
            self._folder.add_folder(kind)
            self._folders.add(kind)
        # The clock of another host, or this clock before it was set, may have been ahead.
        self._stamp_ns = max(time.time_ns(), self._stamp_ns + 1)
        self._folder.commit(part_name(kind, self._stamp_ns, self._writer), encode(table))


def despite_compaction(folder: RunFolder, read: Callable[[], _Read]) -> _Read:
    """Call `read`, again if a part is deleted between its listing and its reading."""
    for _ in range(_LISTINGS):
        try:
            return read()
        except FileNotFoundError:
            continue
    raise StoreError(f"run directory {folder.path!r} changes faster than it can be read")


def _check_version(where: str, metadata: Mapping[bytes, bytes]) -> None:
    version = metadata.get(_VERSION_KEY, b"")
    if not version.isdigit():
        raise DamagedFile(f"{where} is damaged: not written by nbest")
    if int(version) > SCHEMA_VERSION:
        what = f"has schema {int(version)}, this nbest reads up to {SCHEMA_VERSION}"
        raise StoreError(f"{where} {what}: use a newer nbest")


def _array(values: Sequence[Any], kind: DataType) -> Column:
    if pa.types.is_list(kind):
        return _lists(values, kind)
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # half a surrogate pair, which UTF-8 cannot hold
        return pa.array([v if v is None else valid_unicode(str(v)) for v in values], kind)


def _lists(rows: Sequence[Any], kind: DataType) -> Column:
    # One flat array and its offsets are several times faster than Arrow's walk over the tuples.
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum([len(row) if row is not None else 0 for row in rows], out=offsets[1:])
    flat = chain.from_iterable(row for row in rows if row is not None)
    values = np.fromiter(flat, kind.value_type.to_pandas_dtype(), count=int(offsets[-1]))
    missing = pa.array([row is None for row in rows], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), type=kind, mask=missing)


def valid_unicode(text: str) -> str:
    """Return the text as UTF-8 can hold it: a lone half of a surrogate pair is replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
