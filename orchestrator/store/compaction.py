"""Merges many small files into few large ones without losing a row.

A merged file takes the place of its first part in the order of commits, and holds the row that
counts of every key. It is there, whole and synced, before its parts are deleted, oldest first. So
after a crash at any moment the same rows count as before.

Only the holder of the run's lock may compact; others may read and write meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.errors import StoreError
from nbest.orchestrator.store.format.arrow import Column, ParquetFile, Table, compute, pa
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.format.names import QUERIES, RECORDS, SAMPLES, SCORES, merged_name
from nbest.orchestrator.store.format.parquet import DamagedFile, encode, open_part
from nbest.orchestrator.store.format.schema import FINAL

TARGET_BYTES = 16 << 20  # of a merged file, decoded; merging takes a few times as much memory
ROW_BYTES = 300  # of a row at least: a file does not count what its dictionaries save

_Read = TypeVar("_Read")

Rows = NDArray[np.int64]
"""[K] numbers of the rows that are kept, in their new order"""


def compact(folder: RunFolder) -> list[DamagedFile]:
    """Merge small files. Files that cannot be read are set aside and returned."""
    damaged = _compact(folder, QUERIES, queries_that_count)
    damaged += _compact(folder, SAMPLES, samples_that_count)
    damaged += _compact(folder, RECORDS, records_that_count)
    for scorer in folder.folders(SCORES):
        damaged += _compact(folder, scorer, scores_that_count)
    return damaged


def queries_that_count(table: Table) -> Rows:
    """Return the first row of each id, in the order of the table."""
    return _best([_codes(table["id"])], np.zeros(len(table)))


def samples_that_count(table: Table) -> Rows:
    """Return the first final row of each query and index, or else the first; queries together."""
    is_final = compute.is_in(table["status"], pa.array(sorted(FINAL))).to_numpy()
    return _best([_codes(table["query_id"]), table["index"].to_numpy()], ~is_final)


def records_that_count(table: Table) -> Rows:
    """Return the last row of each query and strategy."""
    return _best([_codes(table["query_id"]), _codes(table["strategy"])], -np.arange(len(table)))


def scores_that_count(table: Table) -> Rows:
    """Return the first row of each query and index."""
    return _best([_codes(table["query_id"]), table["index"].to_numpy()], np.zeros(len(table)))


def _codes(column: Column) -> NDArray[np.int32]:
    """Return [R] texts as numbers, counted in the order in which they first appear."""
    codes: NDArray[np.int32] = column.combine_chunks().dictionary_encode().indices.to_numpy()
    return codes


def _best(keys: Sequence[NDArray[np.int32]], penalty: NDArray[np.generic]) -> Rows:
    """Return the row of lowest penalty of each key, sorted by key; the first where they tie."""
    order = np.lexsort((penalty, *reversed(keys)))
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = np.any([key[order[1:]] != key[order[:-1]] for key in keys], axis=0)
    rows: Rows = order[is_new]
    return rows


def _compact(
    folder: RunFolder, kind: str, rows_that_count: Callable[[Table], Rows]
) -> list[DamagedFile]:
    damaged: list[DamagedFile] = []
    sizes = _read_each(folder, folder.parts(kind), _decoded_bytes, damaged)
    for group in _groups(sizes):
        if len(group) > 1:
            _merge(folder, _read_each(folder, group, _whole, damaged), rows_that_count)
            pa.default_memory_pool().release_unused()
    return damaged


def _read_each(
    folder: RunFolder,
    names: Iterable[str],
    read: Callable[[ParquetFile], _Read],
    damaged: list[DamagedFile],
) -> dict[str, _Read]:
    """Call `read` on each part, and return its results in order; set damaged parts aside."""
    results: dict[str, _Read] = {}
    for name in names:
        try:
            with open_part(folder, name) as file:
                results[name] = read(file)
        except DamagedFile as damage:
            folder.set_aside(name)
            damaged.append(damage)
    return results


def _decoded_bytes(file: ParquetFile) -> int:
    groups = (file.metadata.row_group(i) for i in range(file.num_row_groups))
    return sum(max(group.total_byte_size, ROW_BYTES * group.num_rows) for group in groups)


def _whole(file: ParquetFile) -> Table:
    return file.read(use_threads=False)  # each thread would keep memory of its own


def _groups(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield groups of neighbours in the order of commits, up to TARGET_BYTES each."""
    group: list[str] = []
    group_bytes = 0
    for name, num_bytes in sizes.items():
        if group and group_bytes + num_bytes > TARGET_BYTES:
            yield group
            group, group_bytes = [], 0
        group.append(name)
        group_bytes += num_bytes
    yield group


def _merge(
    folder: RunFolder, tables: Mapping[str, Table], rows_that_count: Callable[[Table], Rows]
) -> None:
    if len(tables) < 2:
        return
    # Parts of an earlier version may lack a column.
    table = pa.concat_tables(tables.values(), promote_options="default")
    try:
        name = merged_name(next(iter(tables)))
        folder.commit(name, encode(table.take(rows_that_count(table))))
    except StoreError:  # no room, most likely; the parts stay and count as they did
        return
    for name in tables:
        folder.delete(name)
