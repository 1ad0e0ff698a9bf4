"""What a config may leave out: `dataset: own.jsonl`, `model: Qwen/Qwen3-8B`, kinds that show."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

SUFFIXES: Mapping[str, str] = {
    ".jsonl": "jsonl",
    ".json": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}
SHOWN_BY: Mapping[str, str] = {"repo": "hub", "task": "reasoning_gym"}


def written_out(data: object) -> object:
    """A raw config with its short forms written out; what is no short form stays as it is."""
    if not isinstance(data, dict):
        return data
    long = dict(data)
    if isinstance(data.get("model"), str):
        long["model"] = {"model": data["model"]}
    dataset = data.get("dataset")
    if isinstance(dataset, str):
        dataset = {"path": dataset}
    if isinstance(dataset, dict) and dataset.get("kind") is None:
        kind = _kind_of(dataset)
        dataset = dataset if kind is None else {**dataset, "kind": kind}
    return long if dataset is None else {**long, "dataset": dataset}


def with_short_forms(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON schema of a config, so that editors accept short forms, too."""
    properties = dict(schema["properties"])
    for key in ("dataset", "model"):
        whole = {k: v for k, v in properties[key].items() if k not in ("description", "oneOf")}
        whole.pop("discriminator", None)
        forms = properties[key].get("oneOf") or [whole]
        about = properties[key].get("description", "")
        properties[key] = {"anyOf": [{"type": "string"}, *forms], "description": about}
    required = [key for key in schema["required"] if key != "name"]
    return {**schema, "properties": properties, "required": required}


def _kind_of(dataset: Mapping[str, object]) -> str | None:
    """The kind of a data set that its keys show; None where they show none."""
    path = dataset.get("path")
    if isinstance(path, str):
        return SUFFIXES.get(PurePath(path).suffix.lower())
    return next((kind for key, kind in SHOWN_BY.items() if key in dataset), None)
