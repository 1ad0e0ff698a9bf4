"""Reasons: at most five short lines in our own words, whatever the text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbest import AllOf, JsonValid, Matches, SqlValid, YamlValid
from nbest.orchestrator.protocols import Explains
from nbest.orchestrator.types import Query
from nbest.scorers.structured.reasons import MAX_CHARACTERS, MAX_REASONS, reasons_of_json

QUERY = Query(id="q", prompt="?")
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 5},
            "age": {"type": "integer", "minimum": 0},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
            "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
        "required": ["name", "age"],
        "additionalProperties": False,
    }
)


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ('{"name": "Ann", "age": 3}', ()),
        ('{"age": -1}', ("/: must have the key name", "/age: must be at least 0, got -1")),
        ('{"name": null, "age": 1}', ("/name: must be a text, got null",)),
        ('{"name": "Ann", "age": 1.5}', ("/age: must be a whole number, got 1.5",)),
        (
            '{"name": "Annabel", "age": 1}',
            ('/name: must have at most 5 characters, got "Annabel"',),
        ),
        ('{"name": "A", "age": 1, "tags": ["c"]}', ('/tags/0: must be one of "a", "b", got "c"',)),
        ('{"name": "A", "age": 1, "size": "3"}', ('/size: must be a whole number, got "3"',)),
        (
            '{"name": "A", "age": 1, "x": 2}',
            ("/: must have no other keys than those of the schema",),
        ),
        (
            '{"person": {"name": "A", "age": 1}}',
            ('all keys lie under "person", and should lie outside',),
        ),
        ("[]", ("/: must be an object, got []",)),
        ('{"age": 12 kg}', ('line 1, column 12: must be JSON from here on, got "kg}"',)),
        ('{"age": 1, "age": 2}', ("the key 'age' comes twice",)),
        ('{"age": NaN}', ("NaN is not a finite number",)),
    ],
)
def test_a_reason_names_the_place_the_rule_and_the_value(
    text: str, reasons: tuple[str, ...]
) -> None:
    assert reasons_of_json(text, SCHEMA) == reasons


def test_five_at_most_are_told_in_the_order_of_their_places() -> None:
    value = {"name": 1, "age": "x", "tags": ["c"] * 100, "z": 1}
    reasons = reasons_of_json(json.dumps(value), SCHEMA)
    assert len(reasons) == MAX_REASONS
    assert [reason.partition(":")[0] for reason in reasons[:3]] == ["/", "/age", "/name"]


@given(st.text(max_size=200) | st.text(alphabet='{}[]",: \n0a', max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_text_raises_and_no_line_is_long(text: str) -> None:
    for wrapped in (text, json.dumps({"name": text, text: text})):
        for reason in reasons_of_json(wrapped, SCHEMA):
            assert len(reason) <= MAX_CHARACTERS
            assert len(reason.splitlines()) <= 1


def test_deep_nesting_is_a_reason() -> None:
    assert reasons_of_json("[" * 100_000, None) == ("must not be nested so deeply",)


@pytest.mark.parametrize(
    ("rule", "text", "reasons"),
    [
        (JsonValid(schema=SCHEMA), '{"age": 1}', ("/: must have the key name",)),
        (YamlValid(schema=SCHEMA), "age: 1", ("/: must have the key name",)),
        (YamlValid(), "x: [1", ("it is no careful YAML",)),
        (Matches(pattern=r"\d+"), "one", ('must match \\d+, got "one"',)),
        (SqlValid(), "SELEC 1", ('must be a query that sqlite can explain, got "SELEC 1"',)),
        (
            AllOf(rules=(JsonValid(), Matches(pattern="x"))),
            "{}",
            ('must match x, got "{}"',),
        ),
        (JsonValid(), "{}", ()),
        (Matches(pattern=r"\d+"), "1", ()),
        (AllOf(rules=(JsonValid(),)), "{}", ()),
    ],
    ids=repr,
)
async def test_validators_say_why(rule: Explains, text: str, reasons: tuple[str, ...]) -> None:
    assert isinstance(rule, Explains)
    assert await rule.why(QUERY, text) == reasons


async def test_a_pattern_that_takes_for_ever_is_told_as_that() -> None:
    rule = JsonValid(schema={"type": "string", "pattern": "^(a+)+$"})
    assert await rule.why(QUERY, json.dumps("a" * 40 + "b")) == ("takes too long to check",)
