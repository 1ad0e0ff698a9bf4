"""The gold answers of a run, in its directory but apart from its queries.

A run that carries its own gold answers can be graded again anywhere, without the dataset that it
came from. The file is `gold.parquet`, one row a question that has an answer.

It knows no dataset format and no grader.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from nbest.experiments.language.text import one_line, shown
from nbest.experiments.questions.gold import Gold, packed, unpacked
from nbest.orchestrator.errors import RunChanged, StoreError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.store.format.files import RunFolder

GOLD_FILE = "gold.parquet"
SCHEMA = pa.schema(
    [
        pa.field(name, pa.string(), nullable=False)  # options and entry are JSON
        for name in ("query_id", "answer", "full", "task", "options", "entry")
    ]
)


def write_gold(run_dir: StrPath, gold: Mapping[str, Gold]) -> None:
    """Write the answers, by query id, to an existing run directory; those already there stay.

    Raises RunChanged when a question is there with another answer.
    """
    folder = RunFolder(run_dir)
    stored = read_gold(run_dir)
    for query_id, new in gold.items():
        old = stored.get(query_id, new)
        if old != new and packed(old) != packed(new):
            was, now = shown(old.answer), shown(new.answer)
            raise RunChanged(
                f"the answer of {shown(query_id)} must be that of the run, {was}, got {now}; "
                f"to grade its samples by the new answers, delete {GOLD_FILE} in the run folder"
            )
    if missing := {i: g for i, g in gold.items() if i not in stored}:
        folder.commit(GOLD_FILE, _table_bytes({**stored, **missing}))


def read_gold(run_dir: StrPath) -> dict[str, Gold]:
    """Read the gold answers by query id; empty where the run has none."""
    folder = RunFolder(run_dir)
    try:
        data = folder.read(GOLD_FILE)
    except FileNotFoundError:
        return {}
    try:
        # Arrow's threads now and then abort a process that ends soon after they began.
        table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
        rows = table.cast(SCHEMA).to_pylist()
        return {row.pop("query_id"): unpacked(row) for row in rows}
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        where = f"{GOLD_FILE} in {folder.path!r}"
        raise StoreError(
            f"{where} is damaged ({one_line(error)}); delete it and run again"
        ) from error


def _table_bytes(gold: Mapping[str, Gold]) -> bytes:
    rows: Iterable[Mapping[str, str]] = [{"query_id": i, **packed(g)} for i, g in gold.items()]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), sink, compression="zstd")
    return sink.getvalue()
