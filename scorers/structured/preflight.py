"""What of a JSON schema the engine will enforce token by token, before a model is started.

Of vLLM 0.32 with xgrammar 0.2: it passes over keywords without a word, refuses others, and writes
keys in the order of `properties` and no others. So a constrained sample is a proposal, and the
validator decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

IGNORED = (
    *("not", "if", "then", "else", "dependentRequired", "dependentSchemas"),
    *("unevaluatedProperties", "unevaluatedItems"),
)
_BOUNDS = {
    "object": ("required", "minProperties", "maxProperties", "propertyNames"),
    "array": ("minItems", "maxItems", "uniqueItems", "contains"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
_NAMES = ("title", "description", "default", "examples", "$comment", "$defs", "$schema", "$id")
_FORMATS = frozenset(
    (
        *("email", "date", "time", "date-time", "duration", "ipv4", "ipv6", "hostname", "uuid"),
        *("uri", "uri-reference", "uri-template", "json-pointer", "relative-json-pointer"),
    )
)
_OF_LISTS = ("uniqueItems", "contains", "minContains", "maxContains")
_HOLD_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What will become of a schema in the engine, in one line each."""

    refused: tuple[str, ...]  # the engine would refuse every request
    unenforced: tuple[str, ...]  # it would let through what the schema forbids


def preflight(schema: str) -> Preflight:
    """Look through a schema, JSON text that is a sound one."""
    nodes = list(_nodes("", json.loads(schema)))
    return Preflight(
        refused=tuple(
            f"json_schema: `{key}` at {path or '/'} is refused by the engine"
            for path, node in nodes
            for key in _refused(node)
        ),
        unenforced=tuple(
            f"json_schema: `{key}` at {path or '/'} is checked afterwards: the engine does not"
            for path, node in nodes
            for key in _unenforced(node)
        ),
    )


def _nodes(path: str, node: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema within a schema, with its path."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            if key in _HOLD_SCHEMAS and isinstance(value, dict):
                for name, child in value.items():
                    yield from _nodes(f"{path}/{key}/{name}", child)
            elif key not in ("enum", "const", "default", "examples"):
                yield from _nodes(f"{path}/{key}", value)
    elif isinstance(node, list):
        for place, child in enumerate(node):
            yield from _nodes(f"{path}/{place}", child)


def _types(node: Mapping[str, Any]) -> set[str]:
    named = node.get("type", [])
    names = {str(name) for name in (named if isinstance(named, list) else [named])}
    return names | ({"number"} if "integer" in names else set())


def _refused(node: Mapping[str, Any]) -> Iterator[str]:
    types = _types(node)
    if "number" in types and "multipleOf" in node:
        yield "multipleOf"
    if "array" in types:
        yield from (key for key in _OF_LISTS if key in node)
    if "string" in types:
        if "format" in node and node["format"] not in _FORMATS:
            yield "format"
        has_shape, has_length = "pattern" in node or "format" in node, _has_length(node)
        if has_shape and has_length:
            yield "maxLength" if "maxLength" in node else "minLength"
    if "object" in types:
        patterns = node.get("patternProperties")
        if isinstance(patterns, dict) and ("properties" in node or len(patterns) > 1):
            yield "patternProperties"
        if "propertyNames" in node and ("properties" in node or patterns is not None):
            yield "propertyNames"
    if isinstance(node.get("allOf"), list) and len(node["allOf"]) > 1:
        yield "allOf"


def _has_length(node: Mapping[str, Any]) -> bool:
    return "minLength" in node or "maxLength" in node


def _unenforced(node: Mapping[str, Any]) -> Iterator[str]:
    types = _types(node)
    yield from (key for key in IGNORED if key in node)
    if "oneOf" in node:
        yield "oneOf"
    if "anyOf" in node or "$ref" in node:
        chosen = ("anyOf", "$ref", *_NAMES, *IGNORED, "oneOf")
        yield from (key for key in node if key not in chosen)
        return
    for kind, keys in _BOUNDS.items():
        if kind not in types:
            yield from (key for key in keys if key in node)
    yield from ("enum" for value in node.get("enum", ()) if types and not _is_of(value, types))
    if "object" in types:
        known = node.get("properties", {})
        open_keys = any(key in node for key in ("patternProperties", "additionalProperties"))
        missing = [key for key in node.get("required", ()) if key not in known]
        yield from ("required" for _ in missing[:1] if not open_keys)


def _is_of(value: object, types: set[str]) -> bool:
    names = {str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names.get(type(value), "array" if isinstance(value, list) else "object") in types
