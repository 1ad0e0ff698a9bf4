"""What a JSON schema wants at a place: the types of values there, as far as it says.

A reader of YAML asks it whether `01234` is a text. It guesses nothing: alternatives are taken
together, and where the schema says nothing, no type is wanted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import regex  # type: ignore[import-untyped]

from nbest.scorers.structured.strict import Json

_TOGETHER = ("anyOf", "oneOf", "allOf")
PATTERN_S = 0.1  # for one key
MAX_ALTERNATIVES = 256  # at one place; a schema that nests more of them says nothing there


@dataclass(frozen=True, slots=True)
class Wanted:
    """The schemas that hold at a place of a document, each with what it refers to in its place."""

    root: Mapping[str, Any]
    schemas: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def by(cls, schema: str | None) -> Wanted:
        """What a schema, JSON text, wants of the whole document; nothing without one."""
        root = {} if schema is None else json.loads(schema)
        return cls(root)._at([root])

    def types(self) -> frozenset[str]:
        """The types that are wanted, in JSON schema's own words; none where it does not say."""
        return frozenset(name for schema in self.schemas for name in _types(schema))

    def names(self, key: str) -> bool:
        """Whether a key is named there."""
        named = [schema.get("properties") for schema in self.schemas]
        return any(isinstance(one, dict) and key in one for one in named)

    def of_key(self, key: str) -> Wanted:
        """What is wanted of the value at a key."""
        return self._at([child for schema in self.schemas for child in _of_key(schema, key)])

    def of_item(self, place: int) -> Wanted:
        """What is wanted of an item of a list."""
        return self._at([child for schema in self.schemas for child in _of_item(schema, place)])

    def _at(self, schemas: list[object]) -> Wanted:
        found: list[Mapping[str, Any]] = []
        todo, references = list(reversed(schemas)), set[str]()
        while todo and len(found) <= MAX_ALTERNATIVES:
            schema = todo.pop()
            if not isinstance(schema, dict):
                continue
            found.append(schema)
            for key in _TOGETHER:
                if isinstance(schema.get(key), list):
                    todo += schema[key]
            reference = schema.get("$ref")
            if isinstance(reference, str) and reference not in references:
                references.add(reference)
                todo.append(_target(self.root, reference))
        return Wanted(self.root, () if len(found) > MAX_ALTERNATIVES else tuple(found))


def types_of(value: Json) -> frozenset[str]:
    """The types of a value, in JSON schema's own words: 5 and 5.0 are both."""
    if isinstance(value, bool):
        return frozenset(("boolean",))
    if isinstance(value, int | float):
        is_whole = isinstance(value, int) or value.is_integer()
        return frozenset(("number", "integer") if is_whole else ("number",))
    names = {str: "string", dict: "object", list: "array", type(None): "null"}
    return frozenset((names[type(value)],))


def _types(schema: Mapping[str, Any]) -> Iterator[str]:
    named = schema.get("type", [])
    yield from (str(name) for name in (named if isinstance(named, list) else [named]))
    if "type" not in schema:
        choices = schema.get("enum", [])
        values = choices if isinstance(choices, list) else []
        for value in (*values, *([schema["const"]] if "const" in schema else ())):
            yield from types_of(value)


def _of_key(schema: Mapping[str, Any], key: str) -> list[object]:
    named, patterns = schema.get("properties"), schema.get("patternProperties")
    found: list[object] = [named[key]] if isinstance(named, dict) and key in named else []
    if isinstance(patterns, dict):
        found += [child for pattern, child in patterns.items() if _is_found(pattern, key)]
    return found or [schema.get("additionalProperties")]


def _is_found(pattern: str, key: str) -> bool:
    """Whether a pattern finds something in a key; not where that takes long."""
    try:
        return regex.search(pattern, key, timeout=PATTERN_S) is not None
    except (regex.error, TimeoutError):
        return False


def _of_item(schema: Mapping[str, Any], place: int) -> list[object]:
    first, items = schema.get("prefixItems"), schema.get("items")
    if isinstance(items, list):  # as drafts before 2020-12 have it
        first, items = items, schema.get("additionalItems")
    if isinstance(first, list) and place < len(first):
        return [first[place]]
    return [items]


def _target(root: Mapping[str, Any], reference: str) -> object:
    """What a reference within the schema names; None where it is of another kind."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    at: object = root
    for part in reference.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        at = at.get(key) if isinstance(at, dict) else None
    return at
