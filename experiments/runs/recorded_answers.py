"""Answers that came with imported samples, where reading their texts would give another.

A pool may hold a text and the answer that its maker read there. The maker's answer counts:
`answers/` in the run folder keeps it, one row a sample. All other answers are read in the texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from nbest.orchestrator.errors import StoreError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.store.format.arrow import pa
from nbest.orchestrator.store.format.files import RunFolder
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
    """Write the rows to disk; of two for the same sample the first counts."""
    if rows:
        columns = dict(zip(SCHEMA.names, zip(*rows, strict=True), strict=True))
        PartWriter(RunFolder(run_dir), ()).commit(FOLDER, table_of(SCHEMA, columns))


def read_recorded(run_dir: StrPath) -> Recorded:
    """Read the recorded answers; there are none in a run that was sampled here."""
    answers: dict[str, dict[int, str]] = {}
    for query_id, index, answer in _rows(run_dir):
        answers.setdefault(query_id, {}).setdefault(index, answer)
    return answers


def with_recorded(candidates: Candidates, recorded: Mapping[int, str]) -> Candidates:
    """Put recorded answers in place of those read; only samples that ended well get one."""
    if not recorded:
        return candidates
    pairs = zip(candidates.samples, candidates.answers, strict=True)
    answers = (recorded.get(index_of(s.id), a) if s.status is Status.OK else None for s, a in pairs)
    return replace(candidates, answers=tuple(answers))


def _rows(run_dir: StrPath) -> Iterator[Row]:
    tables, damaged = read_parts(RunFolder(run_dir), FOLDER)
    if damaged:
        raise StoreError(f"{damaged[0]}; delete it and import again")
    for table in tables:
        yield from zip(*(column.to_pylist() for column in table.columns), strict=True)
