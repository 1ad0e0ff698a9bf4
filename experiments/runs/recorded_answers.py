"""Answers that came with imported samples, where reading their texts would give another.

A pool may hold a text and the answer that whoever made it read there. The answer is theirs to say:
`answers/` in the run folder keeps it, one row a sample. All other answers are read in the texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from nbest.orchestrator.errors import StoreError
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.store.format.arrow import pa
from nbest.orchestrator.store.format.files import RunFolder, StrPath
from nbest.orchestrator.store.format.parquet import PartWriter, read_parts, table_of
from nbest.orchestrator.types import Candidates, Status

FOLDER = "answers"
SCHEMA = pa.schema(
    [
        pa.field("query_id", pa.string(), nullable=False),
        pa.field("index", pa.int32(), nullable=False),
        pa.field("answer", pa.string(), nullable=False),
    ]
)

Row = tuple[str, int, str]
"""query id, index, answer"""

Recorded = Mapping[str, Mapping[int, str]]
"""query id -> sample index -> answer"""


def write_recorded(run_dir: StrPath, rows: Sequence[Row]) -> None:
    """When this returns, the rows are on disk; of two for a sample the first counts."""
    if rows:
        columns = dict(zip(SCHEMA.names, zip(*rows, strict=True), strict=True))
        PartWriter(RunFolder(run_dir), ()).commit(FOLDER, table_of(SCHEMA, columns))


def read_recorded(run_dir: StrPath) -> Recorded:
    """What was recorded; empty for a run that was sampled here."""
    found: dict[str, dict[int, str]] = {}
    for query_id, index, answer in _rows(run_dir):
        found.setdefault(query_id, {}).setdefault(index, answer)
    return found


def with_recorded(among: Candidates, recorded: Mapping[int, str]) -> Candidates:
    """The candidates with these answers in place of what was read; only what ended well has one."""
    if not recorded:
        return among
    pairs = zip(among.samples, among.answers, strict=True)
    answers = (recorded.get(index_of(s.id), a) if s.status is Status.OK else None for s, a in pairs)
    return replace(among, answers=tuple(answers))


def _rows(run_dir: StrPath) -> Iterator[Row]:
    tables, damaged = read_parts(RunFolder(run_dir), FOLDER)
    if damaged:
        raise StoreError(f"{damaged[0]}; delete it and import again")
    for table in tables:
        yield from zip(*(column.to_pylist() for column in table.columns), strict=True)
