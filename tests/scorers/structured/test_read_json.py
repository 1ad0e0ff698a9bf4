"""The reader of JSON: what is read, by which layer, and what is left alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbest import read_json
from nbest.orchestrator.errors import InputError
from nbest.scorers.structured.strict import Json


def keys(**kinds: object) -> dict[str, object]:
    """A schema of an object with these keys, all of them required."""
    properties = {k: v if isinstance(v, dict) else {"type": v} for k, v in kinds.items()}
    return {"type": "object", "properties": properties, "required": list(kinds)}


# Faults that users of other tools have reported, in words of our own: text, layer, value.
REPORTED: list[tuple[str, str, Json]] = [
    (
        '{"id": 7, "reason": "it is late"\n"answer": "NO"}',
        "repaired",
        {"id": 7, "reason": "it is late", "answer": "NO"},
    ),
    ('{"code": "a\nb: (n: N) => void;"}', "repaired", {"code": "a\nb: (n: N) => void;"}),
    ('{"done": True}', "repaired", {"done": True}),
    (
        'Here: {"doc": "the <think> tag begins, </think> ends"}',
        "extracted",
        {"doc": "the <think> tag begins, </think> ends"},
    ),
    ('Here: ["[THINK]", "[/THINK]", 1]', "extracted", ["[THINK]", "[/THINK]", 1]),
    ('Answer: {"a": 1}', "extracted", {"a": 1}),
    ("[{'no': None, 'size': '5\"2\"'}]", "repaired", [{"no": None, "size": '5"2"'}]),
    ('{"title": "t", "review": None}', "repaired", {"title": "t", "review": None}),
    (r'{"path": "c\\"}', "plain", {"path": "c\\"}),
    ('{"doc": "```json\\n{}\\n```"}', "plain", {"doc": "```json\n{}\n```"}),
    ('{"say": "type `ls` now"}', "plain", {"say": "type `ls` now"}),
    ('Run ```pwd``` then {"a": 1}', "extracted", {"a": 1}),
    ('```json\n{"a": 1}\n```', "extracted", {"a": 1}),
    ("Here it is:\n~~~\n[1, 2]\n~~~\nDone.", "extracted", [1, 2]),
    ('\ufeff{"a": 1}', "extracted", {"a": 1}),
    (
        '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>',
        "extracted",
        {"name": "add", "arguments": {"a": 1}},
    ),
    ('<think>{"a": 2}?</think>{"a": 1}', "extracted", {"a": 1}),
    ('{"a": [1, 2,],}', "repaired", {"a": [1, 2]}),
    ("{\u201ca\u201d: \u201cb\u201d}", "repaired", {"a": "b"}),
    ('{"a": 1 // one\n, /* two */ "b": 2 # three\n}', "repaired", {"a": 1, "b": 2}),
    ('Sure! {"a": True} I hope this helps.', "repaired", {"a": True}),
    ('{"a": {"b": "c"', "repaired", {"a": {"b": "c"}}),
    ('```json\n{"a": [true\n```', "repaired", {"a": [True]}),
    (r'{"word": "\d+\s"}', "repaired", {"word": r"\d+\s"}),
    ('{name: "x", size_2: 1}', "repaired", {"name": "x", "size_2": 1}),
    ('[{"a": 1} {"b": 2}]', "repaired", [{"a": 1}, {"b": 2}]),
    ('{"link": "http://x.y/#z", }', "repaired", {"link": "http://x.y/#z"}),
    (r"{'a': 'it\'s'}", "repaired", {"a": "it's"}),
]

# Each could be meant in two ways, or has lost something.
REFUSED = [
    '{"k": ["tv 32" wide"]}',
    '{"d": [{"n": "A", "v": 1}, "n": "B", "v": 2]}',
    '{"t": ["x", "y",\n"h": "z", "n": 1}',
    '{"limit": 100',
    '{"price": -12.5',
    '{"cmd": echo it\'s',
    '{"name": "Jo", "city": ',
    '{"name": "Jo", "city"',
    '{"w": ab", "n": 12"}',
    '{"d": The plan, unlike Jim.", "q": "ok"}',
    '[{"1": ""}, {""2": 2"}]',
    '{"l": ["a", "b" C], "m": ["d"]}',
    '{"s": "Fiber,\n"e": "a@b"}',
    '{"m": "This isn\'t done',
    '{"text": "A poem:',
    '{"v": 0.0.1}',
    '{"t": ES2020}',
    '{"k": e}',
    '{"a": true, NOTE "b": 1}',
    '{"kept": 1}\n{"lost": 2}',
    'Example: {"a": 9}. Answer: {"a": 1}',
    'Example: {"a": 9}\n```json\n{"a": 1}\n```',
    '```json\n{"a": 1}\n```\n```json\n{"a": 2}\n```',
    '{"zip": 02139}',
    '{"x": 12%}',
    '{"x": 12 kg}',
    '{"x": 1,299}',
    '{"x": 00:23}',
    '{"x": 0x1F}',
    '{"x": +1}',
    '{"x": .5}',
    '{"a": 1, "a": 2}',
    '{"a": 1, "a": 2,}',
    r'{"t": "\alpha + \beta"}',
    '{"t": "it\\\'s"}',
    '{"a": NaN}',
    '{"a": 1e999}',
    '{"a": Infinity,}',
    '{"n": nul',
    '{"ok": tr',
    '{"a": undefined}',
    '{"a": 1,, "b": 2}',
    '{"a": , "b": 2}',
    "[1 2]",
    '["a" "b"]',
    '[{"a": 1}, {"b": 2',
    '{"a": 1}}',
    '{"a": [1}',
    '<think>{"a": 1}',
    "{'a': 'the cats' toys'}",
    '{"a": "b", ...}',
    "no JSON at all",
    '{"name": "Ann" // the user, "age": 34}',
    '[{"a": 1} // first, {"a": 2}]',
    '{"issues": [#12, #15\n]}',
    '{"issues": [#12\n]}',
    '{"n": 12#3\n}',
    '"a": 1, "b": {"c": 2}',
    '"name": "Ann", "tags": ["x", "y"]',
    'name: Ann\naddress: {"city": "Oslo"}',
    '{"a":1},\n"b": 2',
    '"a": {"b": 1,}',
    r'{"a": "\alpha", "b": "\beta"}',
    r'{"a": "C:\temp", "b": "D:\data"}',
    r"{'a': '\0'}",
    '{"height": 5 ft: 3}',
    '{"quote": "he says " then: 5}',
    "['a'\n'b']",
    "```",
    "```json",
    "Sure:\n```json\n",
    "~~~",
    r'{"name": "\ud800"}',
    r'See {"name": "\udc00 x"}',
    "",
]


@pytest.mark.parametrize(("text", "layer", "value"), REPORTED)
def test_a_value_is_read_by_its_layer(text: str, layer: str, value: Json) -> None:
    reading = read_json(text)
    assert reading is not None
    assert (reading.layer, reading.value) == (layer, value)
    assert repr(reading.value) == repr(value)  # true is not 1
    assert bool(reading.changes) == (layer != "plain")
    assert read_json(text, truncated=True) is None


@pytest.mark.parametrize("text", REFUSED)
def test_in_doubt_there_is_no_reading(text: str) -> None:
    assert read_json(text) is None


def test_what_was_changed_is_told() -> None:
    reading = read_json("Sure:\n```json\n{'a': True, 'b': [1,],}\n```")
    assert reading is not None
    assert reading.changes == (
        "removed a fence",
        "replaced quotation marks (2 times)",
        "wrote True as true",
        "removed a trailing comma (2 times)",
    )
    assert reading.text == '{"a":true,"b":[1]}'


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (keys(a="integer"), '[1] says {"a": 1}', {"a": 1}),
        (keys(a="integer"), '[{"a": 1}]', None),
        (keys(a="integer"), '[{"a": 2}] or {"a": 1}', None),
        ({"type": "array"}, 'x {"a": [1]}', None),
        ({"type": "array"}, "It is [1, 2].", [1, 2]),
        ({"type": "integer"}, "```\n42\n```", 42),
        ({"type": "integer"}, "It is 42.", None),
        (keys(a="integer"), '{"a": "1"}', None),
        (keys(a="integer"), '{"a": 1.5,}', None),
        (keys(why="string", x="integer"), '{"json_input": {"why": "r", "x": 1}}', None),
        (keys(tags={"type": "array"}), '{"tags": "[\\"a\\"]"}', None),
        (keys(pay={"type": ["string", "null"]}), '{"pay": null}', {"pay": None}),
        (keys(note="string"), '{"note": null}', None),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, "{}", {}),
        ({"type": "array", "items": {"maxLength": 3, "pattern": "^a"}}, '["abcd"]', None),
        ({"type": "object", "required": ["a"]}, "{}", None),
        ({"anyOf": [{"type": "object"}, {"type": "null"}]}, "ok: {}", {}),
    ],
)
def test_a_schema_decides_without_coercion(schema: object, text: str, value: Json) -> None:
    reading = read_json(text, schema=schema)
    assert (None if reading is None else reading.value) == value


def test_the_order_of_keys_is_that_of_the_text() -> None:
    reading = read_json('so: {"steps": [], "final_answer": 1, "a": 0}')
    assert reading is not None
    assert isinstance(reading.value, dict)
    assert list(reading.value) == ["steps", "final_answer", "a"]


def test_a_whole_number_stays_exact() -> None:
    reading = read_json("{'n': 12345678901234567890123,}")
    assert reading is not None
    assert reading.value == {"n": 12345678901234567890123}


def test_a_schema_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="schema must hold JSON alone"):
        read_json("1", schema={"const": {1}})
    with pytest.raises(InputError, match="json_schema must be a schema"):
        read_json("{}", schema={"type": "nothing"})


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
documents = st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=6), values, max_size=4)


@given(values)
@settings(max_examples=300, deadline=None)
def test_valid_text_is_the_identity(value: Json) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=2, ensure_ascii=False)):
        reading = read_json(text)
        assert reading is not None
        assert (reading.layer, reading.changes) == ("plain", ())
        assert json.dumps(reading.value) == json.dumps(value)


@given(documents, st.data())
@settings(max_examples=150, deadline=None)
def test_a_prefix_that_was_cut_off_is_never_a_value(value: Json, data: st.DataObject) -> None:
    text = json.dumps(value)
    end = data.draw(st.integers(0, len(text) - 1))
    assert read_json(text[:end], truncated=True) is None
    reading = read_json(text[:end])
    if reading is not None:  # whole to its last token, which is no number
        assert reading.layer == "repaired"
        assert re.search(r"[\"}\]el]\s*\Z", text[:end])
        assert set(reading.changes) <= {
            "added a closing bracket",
            *(f"added a closing bracket ({n} times)" for n in range(20)),
        } | {"removed a trailing comma"}


@given(st.text(alphabet="{}[]\":,'\\/*#\n 01.-eEtruefalsnUN\u201c\u201d", max_size=40))
@settings(max_examples=1500, deadline=None)
def test_a_reading_holds_nothing_that_the_text_does_not(text: str) -> None:
    reading = read_json(text)
    if reading is None or reading.layer == "plain":
        return
    again = read_json(reading.text)
    assert again is not None
    assert json.dumps(again.value) == json.dumps(reading.value)
    for literal in literals_of(reading.value):
        if isinstance(literal, str):
            assert unescaped(literal) in unescaped(text)
        elif literal is not None and not isinstance(literal, bool):
            assert repr(literal).strip("-0.").lower() in text.lower() or "e" in text.lower()


def literals_of(value: Json) -> Iterator[Json]:
    if isinstance(value, list):
        for child in value:
            yield from literals_of(child)
    elif isinstance(value, dict):
        for key, child in value.items():
            yield key
            yield from literals_of(child)
    else:
        yield value


def unescaped(text: str) -> str:
    """A text without what escapes add, so that a string can be looked for in its source."""
    return re.sub(r"[\\\x00-\x1f\x22ntrbfu/]", "", text)


@pytest.mark.parametrize(
    "unit",
    [
        "[",
        "[x] ",
        "{x} ",
        '{"a":',
        "[{",
        '"',
        "```\n",
        "{'",
        "[1]",
        "<think>",
        "1 ",
        "//",
        "[]",
        '{"a":1}',
        "\\",
        "{a:",
    ],
)
def test_a_megabyte_of_anything_is_read_in_time_that_grows_with_it(unit: str) -> None:
    """The limit of a test ends a reader that takes the square of the length."""
    for start in ("", "[", '{"a": "'):
        read_json(start + unit * (1_000_000 // len(unit)))


def test_a_value_in_a_schema_is_no_reference() -> None:
    wanted = {"const": {"$ref": "x"}}
    reading = read_json('{"$ref": "x"}', schema=wanted)
    assert reading is not None
    assert reading.value == {"$ref": "x"}


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Ann", "home": {"city": "Oslo", "note": "vip"}',
        '{"a": {"b": {"c": 1, "e": 2}, "d": "x"}',
        '[[1, 2], [3, "x"]',
        '{"a": {"b": 1, "c": "x"',
        # parts of a record
        'Name: Ann\nAddress: {"city": "Oslo"}',
        'name: "Ann", address: {"city": "Oslo"}',
        '- name: Ann\n- address: {"c": 1}',
        '**Name**: Ann\n**Address**: {"c": 1}',
        "name='Ann', address={\"c\": 1}",
        '"x" = 1; "a" = {"b": 1}',
        '<name>Ann</name><address>{"c": 1}</address>',
        'Address: {"c": 1}\nName: Ann',
        'true, {"a": 1}',
        "1, [2]",
        'f(2, {"a": 1})',
        # footnotes
        "According to source [1] nothing is known.",
        "I used 3, 4 and [5]",
        # no float
        '{"a": 1e-400}',
    ],
)
def test_what_may_mean_something_else_is_not_read(text: str) -> None:
    assert read_json(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": {"b": 1, "c": 2}, "d": 3, "e": "x"', {"a": {"b": 1, "c": 2}, "d": 3, "e": "x"}),
        ('{"a": [1, 2], "b": "x"', {"a": [1, 2], "b": "x"}),
        ('{"items": [{"n": "A", "v": 1}, {"n": "B"}]', {"items": [{"n": "A", "v": 1}, {"n": "B"}]}),
        ('Thought: I should say it.\nAnswer: {"a": 1}', {"a": 1}),
        ('data = {"a": 1}', {"a": 1}),
        ('<reasoning>x</reasoning>\n<answer>{"a": 1}</answer>', {"a": 1}),
        ('Sure, {"a": 1}', {"a": 1}),
        ("The answer is [1, 2].", [1, 2]),
        ("The list:\n[1]\n", [1]),
    ],
)
def test_what_can_mean_one_thing_alone_is_read(text: str, value: Json) -> None:
    reading = read_json(text)
    assert reading is not None
    assert reading.value == value


def test_numbers_keep_all_their_digits_in_the_text() -> None:
    text = '{"a":12345678901234567.89,"b":[0.12345678901234567890123],"c":9007199254740993}'
    reading = read_json(text)
    assert reading is not None
    assert reading.text == text
