"""The gold answers of a run, in its directory but apart from its queries.

A run that carries its own gold answers can be graded again anywhere, without the dataset that it
came from. The file is `gold.parquet`, one row a question that has an answer.

It knows no dataset format and no grader.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from nbest.experiments.language.text import one_line, shown
from nbest.experiments.questions.gold import Gold, packed, unpacked
from nbest.orchestrator.errors import RunChanged, StoreError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.opening import holds_results

GOLD_FILE = "gold.parquet"
FIELDS = ("answer", "full", "task", "options", "entry")  # options and entry are JSON
SCHEMA = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("query_id", *FIELDS)])
BATCH = 4096  # rows that are made into objects together


def write_gold(run_dir: StrPath, gold: Mapping[str, Gold]) -> None:
    """Write the answers, by query id, to an existing run directory; those already there stay.

    Raises RunChanged when a question is there with another answer, and the run has results.
    """
    folder = RunFolder(run_dir)
    stored = read_gold(run_dir)
    known = [i for i, new in gold.items() if i in stored and stored[i] != new]
    changed = [i for i in known if packed(stored[i]) != packed(gold[i])]
    if changed and holds_results(folder):
        was, now = (shown(answers[changed[0]].answer) for answers in (stored, gold))
        raise RunChanged(
            f"the answer of {shown(changed[0])} must be that of the run, {was}, got {now}; "
            f"to grade its samples by the new answers, delete {GOLD_FILE} in the run folder"
        )
    if changed or not gold.keys() <= stored.keys():
        folder.commit(GOLD_FILE, _table_bytes({**stored, **gold}))


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
        return _gold_of(table.cast(SCHEMA))
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        where = f"{GOLD_FILE} in {folder.path!r}"
        raise StoreError(
            f"{where} is damaged ({one_line(error)}); delete it and run again"
        ) from error


def _gold_of(table: pa.Table) -> dict[str, Gold]:
    """Column by column, a batch at a time: all rows as mappings would take a kilobyte each."""
    gold: dict[str, Gold] = {}
    for batch in table.to_batches(max_chunksize=BATCH):
        columns = (column.to_pylist() for column in batch.columns)
        for query_id, *values in zip(*columns, strict=True):
            gold[query_id] = unpacked(dict(zip(FIELDS, values, strict=True)))
    return gold


def _table_bytes(gold: Mapping[str, Gold]) -> bytes:
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
        rows = iter(gold.items())
        while batch := list(islice(rows, BATCH)):
            texts = [{"query_id": query_id, **packed(answer)} for query_id, answer in batch]
            writer.write_table(pa.Table.from_pylist(texts, schema=SCHEMA))
    return sink.getvalue()
