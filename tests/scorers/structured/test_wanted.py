"""The types that a schema wants at a place, and what YAML scalars become by them."""

from __future__ import annotations

import json

import pytest

from nbest import read_yaml
from nbest.scorers.structured.wanted import MAX_ALTERNATIVES, Wanted, types_of

TEXT, NUMBER, NULL = {"type": "string"}, {"type": "integer"}, {"type": "null"}


def of_z(schema: object) -> dict[str, object]:
    return {"type": "object", "properties": {"z": schema}, "$defs": {"Zip": TEXT, "a/b": NUMBER}}


@pytest.mark.parametrize(
    ("schema", "said", "value"),
    [
        ({"$ref": "#/$defs/Zip"}, "5", "5"),
        ({"$ref": "#/$defs/a~1b"}, "5", 5),
        ({"anyOf": [TEXT, NULL]}, "5", "5"),
        ({"anyOf": [TEXT, NULL]}, "null", None),
        ({"anyOf": [TEXT, NUMBER]}, "5", 5),
        ({"allOf": [{"$ref": "#/$defs/Zip"}, {"minLength": 1}]}, "1e5", "1e5"),
        ({"type": ["string", "null"]}, "true", "true"),
        ({"const": "5"}, "5", "5"),
        ({"const": 5}, "5", 5),
        ({"enum": ["1", "2"]}, "2", "2"),
        ({"enum": ["1", 2]}, "2", 2),
        ({"type": "boolean"}, "no", False),
        ({"oneOf": [{"type": "boolean"}, NULL]}, "on", True),
        ({"anyOf": [{"type": "boolean"}, TEXT]}, "no", "no"),
        ({}, "5", 5),
        (TEXT, "!!str 5", "5"),
        ({}, "!!str 5", "5"),
        ({}, "! 5", "5"),
        ({"type": "array", "items": TEXT}, "[5, no]", ["5", "no"]),
        ({"type": "array", "prefixItems": [TEXT], "items": NUMBER}, "[5, 5]", ["5", 5]),
        (
            {"type": "object", "patternProperties": {"^a": TEXT}},
            "{ab: 5, b: 5}",
            {"ab": "5", "b": 5},
        ),
        ({"type": "object", "additionalProperties": TEXT}, "{k: 5}", {"k": "5"}),
    ],
)
def test_a_scalar_is_a_text_where_nothing_else_fits(
    schema: object, said: str, value: object
) -> None:
    reading = read_yaml(f"z: {said}", schema=of_z(schema))
    assert reading is not None
    assert repr(reading.value) == repr({"z": value})


def test_what_no_type_fits_is_no_value() -> None:
    assert read_yaml("z: ~", schema=of_z(TEXT)) is None
    assert read_yaml("z: 010", schema=of_z(NUMBER)) is None


def test_schemas_that_refer_to_themselves_come_to_an_end() -> None:
    loop = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, TEXT]}}}
    assert Wanted.by(json.dumps(loop)).types() == {"string"}
    nested: dict[str, object] = {"$ref": "#"}
    assert Wanted.by(json.dumps(nested)).types() == frozenset()
    many = {"anyOf": [TEXT] * (MAX_ALTERNATIVES + 1)}
    assert Wanted.by(json.dumps(many)).types() == frozenset()
    assert Wanted.by(json.dumps({"$ref": "https://x.y/z"})).types() == frozenset()


def test_types_of_values() -> None:
    assert types_of(5.0) == {"number", "integer"}
    assert types_of(5.5) == {"number"}
    assert types_of(True) == {"boolean"}
    assert types_of({}) == {"object"}
