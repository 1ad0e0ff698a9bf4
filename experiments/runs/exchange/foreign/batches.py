"""Batches of OpenAI's API, as `vllm run-batch` writes them; requests bring the prompts.

A request is `{"custom_id": ..., "url": ..., "body": {...}}`, a result `{"custom_id": ...,
"response": {"status_code": 200, "body": {...}}, "error": null}`. Several results of one `custom_id`
are samples of one question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nbest.experiments.runs.exchange.foreign.openai_objects import choice_sample, prompt_keys
from nbest.experiments.runs.exchange.foreign.rows import Format, Placed, Row, json_rows
from nbest.orchestrator.errors import InputError

FAILED = {"text": "", "finish_reason": "error"}


def is_batch(row: Row) -> bool:
    """Whether a row is a request or a result of a batch."""
    return "custom_id" in row and ("response" in row or "body" in row)


def pool_rows(files: Sequence[Path]) -> Iterator[Placed]:
    """Yield a line for each `custom_id` that has a result."""
    prompts: dict[str, Row] = {}
    lines: dict[str, Placed] = {}
    for file in files:
        for where, row in json_rows(file):
            key = str(row.get("custom_id"))
            if "response" not in row:
                body = row.get("body") or {}
                prompts[key] = prompt_keys(body.get("messages", body.get("prompt")))
                continue
            _, line = lines.setdefault(key, (where, {"id": key, "samples": []}))
            line["samples"] += list(_samples(row))
    if not lines:
        raise InputError(f"{files[0]}: holds requests and no results: name the file of these, too")
    for key, (where, line) in lines.items():
        yield where, {**line, **prompts.get(key, {})}


def _samples(row: Row) -> Iterator[Row]:
    response = row.get("response") or {}
    body = response.get("body") or {}
    choices = body.get("choices") or []
    if row.get("error") or response.get("status_code", 200) >= 400 or not choices:
        yield FAILED
        return
    usage = body.get("usage") or {}
    tokens = usage.get("completion_tokens") if len(choices) == 1 else None
    for choice in choices:
        sample = choice_sample(choice, tokens)
        if isinstance(usage.get("prompt_tokens"), int):
            sample["prompt_tokens"] = usage["prompt_tokens"]
        yield sample


FORMAT = Format(name="results of a batch", is_row=is_batch, pool_rows=pool_rows)
