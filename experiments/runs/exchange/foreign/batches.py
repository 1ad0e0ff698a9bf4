"""Batches of OpenAI's API, as `vllm run-batch` writes them; requests bring the prompts.

A request is `{"custom_id": ..., "url": ..., "body": {...}}`, a result `{"custom_id": ...,
"response": {"status_code": 200, "body": {...}}, "error": null}`. Several results of one `custom_id`
are samples of one question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nbest.experiments.runs.exchange.foreign.openai_objects import choice_sample, prompt_keys
from nbest.experiments.runs.exchange.foreign.rows import Format, Placed, Row, json_rows, mapping
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
            if not isinstance(row.get("custom_id"), str | int):
                raise InputError(f"{where}: custom_id must be text, got {row.get('custom_id')!r}")
            key = str(row["custom_id"])
            if "response" not in row:
                body = mapping(row.get("body"))
                asked = body.get("messages", body.get("prompt", body.get("input")))
                prompts[key] = prompt_keys(asked)
                continue
            _, line = lines.setdefault(key, (where, {"id": key, "samples": []}))
            line["samples"] += list(_samples(row))
    if not lines:
        raise InputError(f"{files[0]}: holds requests and no results: name the file of these, too")
    for key, (where, line) in lines.items():
        yield where, {**line, **prompts.get(key, {})}


def _samples(row: Row) -> Iterator[Row]:
    response = mapping(row.get("response"))
    body = mapping(response.get("body"))
    choices = [*_list(body.get("choices")), *_of_responses(body)]
    status = response.get("status_code")
    is_refused = isinstance(status, int) and status >= 400
    if row.get("error") or is_refused or not choices:
        yield FAILED
        return
    usage = mapping(body.get("usage"))
    tokens = usage.get("completion_tokens", usage.get("output_tokens"))
    for choice in choices:
        sample = choice_sample(choice, tokens if len(choices) == 1 else None)
        read = usage.get("prompt_tokens", usage.get("input_tokens"))
        if isinstance(read, int):
            sample["prompt_tokens"] = read
        yield sample


def _list(value: object) -> list[Row]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _of_responses(body: Row) -> Iterator[Row]:
    """The reply of the Responses API in the form of a choice."""
    messages = [item for item in _list(body.get("output")) if item.get("type") == "message"]
    parts = [part for message in messages for part in _list(message.get("content"))]
    texts = [str(part.get("text", "")) for part in parts if part.get("type") == "output_text"]
    if texts:
        is_whole = body.get("status", "completed") == "completed"
        yield {
            "message": {"content": "".join(texts)},
            "finish_reason": "stop" if is_whole else "length",
        }


FORMAT = Format(name="results of a batch", is_row=is_batch, pool_rows=pool_rows)
