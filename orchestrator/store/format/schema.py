"""Defines the tables of a run directory, and turns the shared types into rows and back.

    samples   query_id, index, and every field of Sample
    records   every field of Record, with the fields of Usage as usage_NAME
    queries   id, prompt (raw text) or messages (JSON), meta (JSON), variants (JSON)
    scores    query_id, index, score

This module knows no file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from nbest.orchestrator.store.format.arrow import DataType, Table, pa
from nbest.orchestrator.store.format.parquet import table_of, valid_unicode
from nbest.orchestrator.types import (
    Message,
    Outcome,
    Query,
    Record,
    Sample,
    Status,
    TopLogprobs,
    Usage,
)

SampleRow = tuple[str, int, Sample]
"""query id, index, sample"""
PromptRow = tuple[str | None, str | None, str | None]
"""prompt, messages, one of them None; variants, None where there are none"""
ScoreRow = tuple[str, int, float]
"""query id, index, score"""

FINAL = frozenset({Status.OK, Status.TRUNCATED, Status.UNPARSEABLE})
"""Statuses of samples that are not drawn again. Of the rows of one key, the first final one counts,
or else the first: an error and an aborted sample count only until there is a better one."""

_USAGE = tuple(field.name for field in fields(Usage))
_LATER_USAGE = frozenset({"pruned_tokens"})  # null where parts of an earlier version were merged
_COUNT = pa.int64()
_SECONDS = pa.float64()


def _required(**kinds: DataType) -> list[Any]:
    return [pa.field(name, kind, nullable=False) for name, kind in kinds.items()]


def _list_of(kind: DataType) -> DataType:
    return pa.list_(pa.field("element", kind, nullable=False))


TOP_LOGPROBS = pa.struct(
    [
        pa.field("k", pa.int32(), nullable=False),
        pa.field("packed", pa.binary(), nullable=False),
        pa.field("texts", _list_of(pa.string()), nullable=False),
    ]
)
SAMPLES = pa.schema(
    [
        *_required(query_id=pa.string(), index=pa.int32(), id=pa.string(), text=pa.string()),
        *_required(token_ids=_list_of(pa.int32())),
        pa.field("logprobs", _list_of(pa.float64())),
        pa.field("top_logprobs", TOP_LOGPROBS),
        *_required(status=pa.string(), error=pa.string()),
        *_required(prompt_tokens=_COUNT, cached_tokens=_COUNT, generated_tokens=_COUNT),
        *_required(first_token_s=_SECONDS, total_s=_SECONDS, engine=pa.string()),
        # Of later versions: missing in earlier runs, or null where parts of both were merged.
        pa.field("reasoning", pa.string()),
        pa.field("reasoning_tokens", _COUNT),
        pa.field("arm", pa.string()),
        pa.field("stop", pa.string()),
    ]
)
RECORDS = pa.schema(
    [
        *_required(query_id=pa.string(), strategy=pa.string(), outcome=pa.string()),
        pa.field("index", pa.int32()),
        pa.field("answer", pa.string()),
        *_required(confidence=pa.float64(), error=pa.string(), seconds=_SECONDS),
        *_required(**{f"usage_{name}": _COUNT for name in _USAGE if name not in _LATER_USAGE}),
        *(pa.field(f"usage_{name}", _COUNT) for name in _USAGE if name in _LATER_USAGE),
    ]
)
_RECORD_PATHS = {name: name.replace("usage_", "usage.") for name in RECORDS.names}
QUERIES = pa.schema(
    [
        *_required(id=pa.string()),
        pa.field("prompt", pa.string()),
        pa.field("messages", pa.string()),
        *_required(meta=pa.string()),
        pa.field("variants", pa.string()),  # of later versions, as `reasoning` above
    ]
)
SCORES = pa.schema(_required(query_id=pa.string(), index=pa.int32(), score=pa.float64()))


def samples_table(rows: Sequence[SampleRow]) -> Table:
    samples = [row[2] for row in rows]
    columns = {name: _column(samples, name) for name in SAMPLES.names[2:]}
    columns["top_logprobs"] = [_top_row(sample.top_logprobs) for sample in samples]
    columns |= {"query_id": [row[0] for row in rows], "index": [row[1] for row in rows]}
    return table_of(SAMPLES, columns)


def records_table(records: Sequence[Record]) -> Table:
    columns = {name: _column(records, path) for name, path in _RECORD_PATHS.items()}
    return table_of(RECORDS, columns)


def records_of(table: Table) -> list[Record]:
    # A count that an earlier version did not make is missing, or null where parts were merged.
    names = [name for name in RECORDS.names if name in table.column_names]
    columns = [_values(table, name) for name in names]
    rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
    return [_record(row) for row in rows]


def _values(table: Table, name: str) -> list[Any]:
    """The values of a column; a text that is there many times, as a strategy is, is one object."""
    values: list[Any] = table[name].to_pylist()
    if name not in ("strategy", "outcome", "error"):
        return values
    once: dict[Any, Any] = {}
    return [once.setdefault(value, value) for value in values]


def queries_table(queries: Sequence[Query]) -> Table:
    prompts = [query.prompt for query in queries]
    columns: dict[str, Sequence[object]] = {
        "id": [query.id for query in queries],
        "prompt": [prompt if isinstance(prompt, str) else None for prompt in prompts],
        "messages": [None if isinstance(p, str) else _messages_json(p) for p in prompts],
        # What JSON does not know, such as a date from a Parquet file, is stored as its text.
        "meta": [json.dumps(dict(query.meta), default=str) for query in queries],
        "variants": [_variants_json(query) for query in queries],
    }
    return table_of(QUERIES, columns)


def prompts_of(table: Table) -> dict[str, PromptRow]:
    """By query id, the prompt as its row holds it."""
    columns = (table[name].to_pylist() for name in ("id", "prompt", "messages"))
    variants = _variants_of(table)
    rows = zip(*columns, variants, strict=True)
    return {key: (prompt, messages, others) for key, prompt, messages, others in rows}


def _variants_of(table: Table) -> list[str | None]:
    has_any = "variants" in table.column_names
    return table["variants"].to_pylist() if has_any else [None] * len(table)


def prompt_row(query: Query) -> PromptRow:
    """The prompt of a query as a row holds it: raw text, or messages as JSON."""
    if isinstance(query.prompt, str):
        return query.prompt, None, _variants_json(query)
    return None, _messages_json(query.prompt), _variants_json(query)


def queries_of(table: Table) -> list[Query]:
    names = ("id", "prompt", "messages", "meta")
    columns = [*(table[name].to_pylist() for name in names), _variants_of(table)]
    return [
        Query(
            id=key,
            prompt=prompt if prompt is not None else _messages(messages),
            meta={} if meta == "{}" else json.loads(meta),
            variants={} if variants is None else _variants(variants),
        )
        for key, prompt, messages, meta, variants in zip(*columns, strict=True)
    ]


def scores_table(rows: Sequence[ScoreRow]) -> Table:
    columns = zip(*rows, strict=True)
    return table_of(SCORES, dict(zip(SCORES.names, columns, strict=True)))


def _column(rows: Sequence[object], path: str) -> Sequence[object]:
    return list(map(attrgetter(path), rows))


def top_of(row: dict[str, Any] | None) -> TopLogprobs | None:
    """Return the object for a value of the column `top_logprobs`."""
    if row is None:
        return None
    return TopLogprobs(k=row["k"], packed=row["packed"], texts=tuple(row["texts"]))


def _top_row(top: TopLogprobs | None) -> dict[str, object] | None:
    if top is None:
        return None
    return {"k": top.k, "packed": top.packed, "texts": [valid_unicode(t) for t in top.texts]}


def _record(row: dict[str, Any]) -> Record:
    usage = Usage(**{name: row.pop(f"usage_{name}", 0) or 0 for name in _USAGE})
    return Record(usage=usage, outcome=Outcome(row.pop("outcome")), **row)


def _messages_json(messages: Sequence[Message]) -> str:
    return json.dumps([[message.role, message.content] for message in messages])


def _variants_json(query: Query) -> str | None:
    """The other prompts of a query, by name: a raw text as a text, a chat as its messages."""
    if not query.variants:
        return None
    prompts = {
        name: prompt if isinstance(prompt, str) else [[m.role, m.content] for m in prompt]
        for name, prompt in query.variants.items()
    }
    return json.dumps(prompts, sort_keys=True)


def _variants(text: str) -> dict[str, str | tuple[Message, ...]]:
    return {
        name: prompt
        if isinstance(prompt, str)
        else tuple(Message(role=role, content=content) for role, content in prompt)
        for name, prompt in json.loads(text).items()
    }


def _messages(text: str) -> tuple[Message, ...]:
    return tuple(Message(role=role, content=content) for role, content in json.loads(text))
