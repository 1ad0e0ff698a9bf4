"""FirstValid: what is valid, what hostile text does, and what is refused at construction."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbest import FirstValid
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Candidates, Query, Sample

QUERY = Query(id="q1", prompt="?")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


async def valid(scorer: FirstValid, *texts: str | None) -> list[bool]:
    samples = tuple(Sample(id=f"s{i}", text=t or "") for i, t in enumerate(texts))
    scores = await scorer(QUERY, Candidates(samples=samples, answers=texts))
    assert set(scores[~np.isnan(scores)]) <= {1.0}
    return [not np.isnan(score) for score in scores]


async def test_regex_reads_all_of_the_answer() -> None:
    scorer = FirstValid(regex=r"\d+")
    assert await valid(scorer, "12", "12 ", "a12", None, "") == [True, False, False, False, False]


async def test_regex_reads_the_answer_and_schema_the_text() -> None:
    samples = (Sample(id="s0", text='so: {"x": 1}'), Sample(id="s1", text='{"x": 1}'))
    candidates = Candidates(samples=samples, answers=("1", "one"))
    by_regex = await FirstValid(regex=r"\d")(QUERY, candidates)
    by_schema = await FirstValid(json_schema='{"type": "object"}')(QUERY, candidates)
    np.testing.assert_array_equal(by_regex, [1.0, np.nan])
    np.testing.assert_array_equal(by_schema, [np.nan, 1.0])


async def test_a_candidate_without_an_answer_is_not_valid() -> None:
    candidates = Candidates(samples=(Sample(id="s0", text="{}"),), answers=(None,))
    assert np.isnan(await FirstValid(json_schema="{}")(QUERY, candidates)).all()


async def test_schema() -> None:
    schema = '{"type": "object", "required": ["x"], "properties": {"x": {"minimum": 3}}}'
    texts = ('{"x": 3}', '{"x": 2}', "{}", "[]", "not JSON", '{"x": 3} and more', "")
    assert await valid(FirstValid(json_schema=schema), *texts) == [True] + [False] * 6


async def test_the_draft_is_the_one_that_the_schema_names() -> None:
    # "prefixItems" came with 2020-12; draft 7 does not know it.
    rest = '"prefixItems": [{"type": "string"}]}'
    draft_7 = '{"$schema": "http://json-schema.org/draft-07/schema#", ' + rest
    assert await valid(FirstValid(json_schema="{" + rest), "[1]") == [False]
    assert await valid(FirstValid(json_schema=draft_7), "[1]") == [True]


async def test_a_schema_may_refer_to_itself() -> None:
    tree = '{"type": "array", "items": {"$ref": "#"}}'
    assert await valid(FirstValid(json_schema=tree), "[[], [[]]]", "[[1]]") == [True, False]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 900 + "1" + "}" * 900,
        "9" * 100_000,
        "9" * 400,
        "1e999",
        "-1e999",
        "NaN",
        "[Infinity]",
        "\ud800",
        "\x00",
    ],
    ids=lambda text: ascii(text[:8]),
)
async def test_hostile_text_is_invalid(text: str) -> None:
    # Accepts any finite number, and anything nested that the validator can follow to its end.
    schema = {"type": ["number", "array", "object"], "multipleOf": 0.01}
    schema |= {"items": {"$ref": "#"}, "additionalProperties": {"$ref": "#"}}
    assert await valid(FirstValid(json_schema=json.dumps(schema)), text) == [False]


@settings(deadline=None)
@given(st.text() | JSON.map(json.dumps))
async def test_no_text_raises(text: str) -> None:
    schema = {"anyOf": [{"multipleOf": 0.01}, {"uniqueItems": True, "minProperties": 1}]}
    await valid(FirstValid(json_schema=json.dumps(schema)), text)
    await valid(FirstValid(regex="(a|b)*c"), text)


@settings(deadline=None)
@given(st.lists(st.integers(-5, 5), max_size=8))
async def test_schema_agrees_with_python(numbers: list[int]) -> None:
    scorer = FirstValid(json_schema='{"type": "integer", "minimum": 0}')
    assert await valid(scorer, *map(str, numbers)) == [n >= 0 for n in numbers]


@pytest.mark.parametrize(
    ("regex", "json_schema", "message"),
    [
        (None, None, "first_valid must set exactly one of regex, json_schema, rule, got []"),
        ("a", "{}", "first_valid must set exactly one of regex, json_schema, rule, got ['regex', "),
        ("(", None, "regex must be a regex (missing ), unterminated"),
        ("a{9999999999999999999999}", None, "regex must be a regex of at most 20,000 parts"),
        (None, "{", "json_schema must be JSON text (Expecting"),
        (None, "[" * 100_000, "json_schema must be JSON text (maximum recursion"),
        (None, "[1]", "json_schema must be a JSON object, got '[1]'"),
        (None, '{"type": 5}', "json_schema must be a schema (5 is not valid"),
        (None, '{"pattern": "("}', "json_schema must be a schema ('(' is not a 'regex')"),
        (None, '{"$schema": "x"}', "json_schema must name a known $schema, not 'x', got"),
        (None, '{"$schema": 5}', "json_schema must name a known $schema, not '5', got"),
        (
            None,
            '{"items": [{"$ref": "#/$defs/a"}]}',
            "json_schema must be a schema (",
        ),
        (
            None,
            '{"allOf": [{"$ref": "#/$defs/a"}]}',
            "json_schema must hold all that it refers to, and '#/$defs/a' is missing, got",
        ),
        (
            None,
            '{"$ref": "http://localhost:9/s"}',
            "json_schema must hold all that it refers to, and 'http://localhost:9/s' is missing",
        ),
    ],
)
def test_what_is_refused(regex: str | None, json_schema: str | None, message: str) -> None:
    with pytest.raises(InputError, match="^" + re.escape(message)) as refusal:
        FirstValid(regex=regex, json_schema=json_schema)
    assert "\n" not in str(refusal.value)
