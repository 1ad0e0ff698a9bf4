"""Generations of NeMo-Skills: `output-rs0.jsonl`, `output-rs1.jsonl`, ..., a file for each seed.

The same line of each file is the same question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nbest.experiments.runs.exchange.foreign.rows import (
    Format,
    Placed,
    Row,
    as_gold,
    json_rows,
    number_of,
    set_keys,
    whole_number,
)
from nbest.orchestrator.errors import InputError

QUESTIONS = ("problem", "question", "prompt")  # the key differs by data set


def is_generation(row: Row) -> bool:
    """Whether a row is a generation for a row of a data set."""
    return isinstance(row.get("generation"), str) and bool(
        row.keys() & {"expected_answer", "predicted_answer", "num_generated_tokens"}
    )


def pool_rows(files: Sequence[Path]) -> Iterator[Placed]:
    """Yield a line for each question, with a sample of each file."""
    lines: dict[int, Placed] = {}
    for file in files:
        for number, (where, row) in enumerate(json_rows(file)):
            question = next((row[key] for key in QUESTIONS if isinstance(row.get(key), str)), "")
            key = str(row["id"]) if isinstance(row.get("id"), str | int) else str(number)
            new = {"id": key, "gold": as_gold(row.get("expected_answer")), "prompt": question}
            first, line = lines.setdefault(number, (where, {**new, "samples": []}))
            if {**line, "samples": None} != {**new, "samples": None}:
                raise InputError(f"{where}: must be the same question, with the gold, of {first}")
            line["samples"].append(_sample(row))
    yield from lines.values()


def _sample(row: Row) -> Row:
    sample = {
        "text": row["generation"],
        "reasoning": row.get("reasoning_content"),
        "tokens": whole_number(row.get("num_generated_tokens")),
        "seconds": row.get("generation_time"),
        "finish_reason": row.get("finish_reason"),
        "scores": {k: number_of(v) for k, v in row.items() if k.endswith("correct")} or None,
    }
    found = set_keys(sample)
    if "predicted_answer" in row:  # nothing says that it could read none
        found["answer"] = row["predicted_answer"]
    return found


FORMAT = Format(name="generations of NeMo-Skills", is_row=is_generation, pool_rows=pool_rows)
