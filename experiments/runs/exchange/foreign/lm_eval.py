"""Samples of lm-evaluation-harness, as `--log_samples` writes them: `samples_TASK_DATE.jsonl`.

A row is a question and a filter; all filters of a question saw the same texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nbest.experiments.language.text import shown
from nbest.experiments.runs.exchange.foreign.rows import Format, Placed, Row, as_gold, json_rows
from nbest.orchestrator.errors import InputError

NAME = re.compile(r"samples_(.+?)(?:_\d{4}-\d{2}-\d{2}T[\d.:-]+)?\.jsonl")


def is_sample(row: Row) -> bool:
    """Whether a row is a logged sample."""
    return "doc_id" in row and "resps" in row


def pool_rows(files: Sequence[Path]) -> Iterator[Placed]:
    """Yield a line for each document of each task."""
    seen: set[str] = set()
    for file in files:
        named = NAME.fullmatch(file.name)
        for where, row in json_rows(file):
            key = f"{named[1]}/{row['doc_id']}" if named else str(row["doc_id"])
            if key in seen:  # by another filter
                continue
            seen.add(key)
            samples = [{"text": text} for text in _texts(row["resps"], where)]
            line = {"id": key, "gold": _gold(row.get("target")), "samples": samples}
            yield where, {**line, **_prompt(row.get("arguments"))}


def _texts(resps: object, where: str) -> list[str]:
    """The texts of all requests of a document."""
    flat = list(_leaves(resps))
    if not flat or not all(isinstance(text, str) for text in flat):
        what = "must hold texts (a task that compares likelihoods has none)"
        raise InputError(f"{where}: resps {what}, got {shown(resps)}")
    return [text for text in flat if isinstance(text, str)]


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def _gold(target: object) -> str | None:
    """The target; of one in the format of GSM8K, what follows its marker."""
    text = as_gold(target)
    return None if text is None else text.rpartition("####")[2].strip()


def _prompt(arguments: object) -> Row:
    """The prompt of the first request, in the form of today or of before."""
    first: object = arguments
    for _ in range(3):
        if isinstance(first, dict):
            first = next(iter(first.values()), None)
        elif isinstance(first, list):
            first = first[0] if first else None
    return {"prompt": first} if isinstance(first, str) else {}


FORMAT = Format(name="samples of lm-eval", is_row=is_sample, pool_rows=pool_rows)
