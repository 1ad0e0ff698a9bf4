"""The reader of YAML: scalars by the schema, and repairs that have one reading."""

from __future__ import annotations

import json

import pytest

from nbest import read_yaml
from nbest.scorers.structured.extract import YamlValue
from nbest.scorers.structured.layered import is_mended
from nbest.scorers.structured.strict import Json


def keys(**kinds: str) -> dict[str, object]:
    properties = {name: {"type": kind} for name, kind in kinds.items()}
    return {"type": "object", "properties": properties, "required": list(kinds)}


@pytest.mark.parametrize(
    ("text", "schema", "layer", "value"),
    [
        ("name: Node: Orders", keys(name="string"), "repaired", {"name": "Node: Orders"}),
        ("see: also: http://x.y", keys(see="string"), "repaired", {"see": "also: http://x.y"}),
        ("country: NO", keys(country="string"), "plain", {"country": "NO"}),
        ("country: NO", None, "plain", {"country": "NO"}),
        ("zip: 01234", keys(zip="string"), "plain", {"zip": "01234"}),
        ("at: 1:30", keys(at="string"), "plain", {"at": "1:30"}),
        (
            "n: 12\nx: 1.5\nb: true\nz: null",
            None,
            "plain",
            {"n": 12, "x": 1.5, "b": True, "z": None},
        ),
        ("```yaml\n- a\n- 2\n```", None, "extracted", ["a", 2]),
        ("<think>a: 2</think>a: 1", None, "extracted", {"a": 1}),
        ("<think>so: x.</think>\na: b", None, "extracted", {"a": "b"}),
        ("a:\n\tb: 1\n\tc: x", None, "repaired", {"a": {"b": 1, "c": "x"}}),
        ("* one\n* two", None, "repaired", ["one", "two"]),
        ("on: 1", {"type": "object", "properties": {"on": {}}}, "plain", {"on": 1}),
    ],
)
def test_a_document_is_read_by_its_layer(
    text: str, schema: object, layer: str, value: Json
) -> None:
    reading = read_yaml(text, schema=schema)
    assert reading is not None
    assert (reading.layer, repr(reading.value)) == (layer, repr(value))
    assert read_yaml(text, schema=schema, truncated=True) is None


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        (r"street: 'rue d\'A'", keys(street="string")),
        ("name: Node: Orders", None),  # a text, or keys within keys?
        ("name: Node: Orders", keys(name="object")),
        ("n: 012", keys(n="integer")),
        ("x: .inf", None),
        ("x: 1e999", None),
        ("x: !!binary aGk=", None),
        ("x: !!int '5'", None),
        ("!!python/object:os.system x: 1", None),
        ("name: Ann\n\nFor example:\n```yaml\nname: Bob\n```", None),
        ("x: 1\nx: 2", None),
        ("a: &a [1]\nb: *a", None),
        ("x: |\n  say: this: that\ny: a: b", keys(x="string", y="string")),
        ("a:\n\tb: 1\n  c: 2", None),  # tabs and spaces
        ("A sentence, and no more.", None),
        ("```yaml\na: 1\n```\n```yaml\na: 2\n```", None),
        ("", None),
        ("- " * 2000, None),
    ],
)
def test_in_doubt_there_is_no_reading(text: str, schema: object) -> None:
    assert read_yaml(text, schema=schema) is None


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("note: fix #3", keys(note="string")),
        ("pass: #abc", None),
        ("tags:\n* a #3", None),
        ('a: "\\ud800"', None),
        ("a: b: c", {"type": "object"}),
        ("Here is it:\nname: Ann", keys(name="string")),
        ("Here is it:\nname: Ann", None),
    ],
)
def test_what_may_be_dropped_or_put_there_is_not_read(text: str, schema: object) -> None:
    assert read_yaml(text, schema=schema) is None


def test_comments_of_their_own_and_pairs_of_surrogates_are_read() -> None:
    commented = read_yaml("a: 1  # the first\n# all\nb: x")
    assert commented is not None
    assert commented.value == {"a": 1, "b": "x"}
    pair = read_yaml('a: "\\ud83d\\ude00"')
    assert pair is not None
    assert pair.value == {"a": "\U0001f600"}
    number = read_yaml("a: 12345678901234567.89")
    assert number is not None
    assert number.text == '{"a":12345678901234567.89}'


def test_a_pattern_of_the_schema_is_left_to_the_validator() -> None:
    """Answers are read where others wait: nothing there may take for ever."""
    schema = json.dumps(
        {
            "type": "object",
            "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}},
            "patternProperties": {"^(b+)+$": {"type": "string"}},
        }
    )
    text = f"a: {'a' * 40}!\n{'b' * 40}!: 1"
    assert YamlValue(schema=schema)(text) == f'{{"a":"{"a" * 40}!","{"b" * 40}!":1}}'
    assert not is_mended(text, "yaml")
