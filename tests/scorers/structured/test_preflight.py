"""What of a schema the engine will not enforce, and what it will refuse: told before it starts."""

from __future__ import annotations

import json

import pytest

from nbest.scorers.structured.preflight import preflight

PERSON = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.mark.parametrize(
    ("schema", "keys"),
    [
        (PERSON, []),
        ({**PERSON, "additionalProperties": False}, []),
        (
            {"type": "object", "properties": {"a": {"not": {"type": "null"}}}},
            ["not at /properties/a"],
        ),
        ({"if": {}, "then": {}, "type": "object"}, ["if at /", "then at /"]),
        ({"type": "object", "required": ["a"]}, ["required at /"]),
        ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, ["oneOf at /"]),
        ({"anyOf": [PERSON], "additionalProperties": False}, ["additionalProperties at /"]),
        ({"minimum": 3}, ["minimum at /"]),
        ({"properties": {"n": {"maxLength": 3}}, "type": "object"}, ["maxLength at /properties/n"]),
        ({"type": "string", "enum": ["a", 1]}, ["enum at /"]),
        ({"type": "object", "properties": {"not": {"type": "string"}}}, []),  # a key, no keyword
        ({"const": {"not": 1}}, []),
    ],
)
def test_what_is_checked_afterwards(schema: object, keys: list[str]) -> None:
    found = preflight(json.dumps(schema))
    said = [
        f"json_schema: `{k}` at {p} is checked afterwards: the engine does not"
        for k, p in (key.split(" at ") for key in keys)
    ]
    assert list(found.unenforced) == said


@pytest.mark.parametrize(
    ("schema", "key"),
    [
        ({"type": "integer", "multipleOf": 2}, "multipleOf"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"type": "string", "pattern": "a", "maxLength": 3}, "maxLength"),
        ({"type": "string", "format": "iri"}, "format"),
        ({"type": "object", "patternProperties": {"a": {}}, "properties": {}}, "patternProperties"),
        ({"allOf": [{"type": "string"}, {"enum": ["a"]}]}, "allOf"),
        (
            {"type": "object", "properties": {"x": {"type": "number", "multipleOf": 1}}},
            "multipleOf",
        ),
    ],
)
def test_what_is_refused(schema: object, key: str) -> None:
    (line,) = preflight(json.dumps(schema)).refused
    assert line.startswith(f"json_schema: `{key}` at /")
    assert preflight(json.dumps(PERSON)).refused == ()
