"""YAML from strangers: what is read, and what is refused."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nbest.experiments.language.yaml_text import MAX_BYTES, MAX_NODES, parse_yaml, read_yaml
from nbest.orchestrator.errors import InputError

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
KEYS = st.text("abcdefghij", min_size=1, max_size=5)


def is_number(text: str) -> bool:
    """Here 1e5 is a number, as in JSON; PyYAML takes it for a text, and writes it unquoted."""
    try:
        float(text)
    except ValueError:
        return False
    return True


TEXTS = st.text(max_size=20).filter(lambda text: not is_number(text))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)


def refusal(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(InputError) as caught:
        parse_yaml(data, "x.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(PLAIN)
def test_plain_data_comes_back_as_it_was_written(value: object) -> None:
    for flow in (True, False):
        text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=False)
        # Aliases are how PyYAML writes the same empty list twice; hypothesis may make such values.
        if "&" not in text:
            assert parse_yaml(text.encode(), "x").value == value


def test_every_key_and_entry_has_its_line() -> None:
    lines = parse_yaml(b"a: 1\nb:\n  c: [x,\n      y]\n  d:\n    - e: 2\n", "x").lines
    assert lines[("a",)] == 1
    assert lines[("b", "c")] == 3
    assert lines[("b", "c", 1)] == 4
    assert lines[("b", "d", 0, "e")] == 6


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1.5e3", 1500.0),
        ("-2E+1", -20.0),
        ("2024-01-02", "2024-01-02"),
        ("<<", "<<"),
        ("1", 1),
        ("1e", "1e"),
        ("e5", "e5"),
        ('"1e5"', "1e5"),
        ("", None),
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("false", False),
        ("1:30", "1:30"),
        ("010", "010"),
        ("1_000", 1000),
        ("0x10", 16),
        (".5", 0.5),
        ("-.inf", -float("inf")),
        ("~", None),
    ],
)
def test_scalars_are_what_they_look_like(text: str, value: object) -> None:
    read = parse_yaml(text.encode(), "x").value
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "x.yaml:2: the key 'a' is given twice"),
        ("b:\n  {a: 1, a: 2}", "x.yaml:2: the key 'a' is given twice"),
        ("a: !!python/name:os.system", "x.yaml:1: YAML tags are not allowed, got "),
        ("a: !env HOME", "x.yaml:1: YAML tags are not allowed, got '!env'"),
        ("a: !!str 5", "x.yaml:1: YAML tags are not allowed, got "),
        ("a: &x 1\nb: *x", "x.yaml:1: YAML anchors and aliases are not allowed"),
        ("a: *x", "x.yaml:1: YAML anchors and aliases are not allowed"),
        ("1: a", "x.yaml:1: a key must be text, got '1'"),
        ("[a]: b", "x.yaml:1: a key must be text, got "),
        ("a: 1\n---\nb: 2", "x.yaml:2: must hold one YAML document, got a second"),
        ("a: [1, 2", "x.yaml:2:1: broken YAML: did not find expected ',' or ']'"),
        ("a: b: c", "x.yaml:1:5: broken YAML: mapping values are not allowed in this context"),
        ("a: 1\n\tb: 2", "x.yaml:2:1: broken YAML: "),
        ("a: 1\nb: \x00", "x.yaml:2: broken YAML: control characters are not allowed"),
        ("[" * 40 + "]" * 40, "x.yaml:1: YAML must nest at most 32 deep, got more"),
        ("a: " + "9" * 5000, "x.yaml:1: cannot be read: Exceeds the limit"),
        (b"a: 1\nb: \xff\xfe", "x.yaml:2: must be UTF-8 text, got other bytes"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_by_line(text: str | bytes, message: str) -> None:
    assert refusal(text).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "anchors and aliases are not allowed"),
        ("[" * 500_000, "must nest at most 32 deep"),
        ("{a: " * 200_000, "must nest at most 32 deep"),
        ("- " * 400_000, "must nest at most 32 deep"),
        ("x" * (MAX_BYTES + 1), "must be at most 1000000 bytes"),
        ('a: "' + "x" * 900_000, "broken YAML"),
        ("a: {" + "x: [],\n" * 90_000, "x.yaml:24999: YAML must hold at most 50000 keys"),
        ("- 1\n" * MAX_NODES, "x.yaml:50000: YAML must hold at most 50000 keys"),
    ],
)
def test_hostile_texts_are_refused_before_they_take_time(text: str, message: str) -> None:
    assert message in refusal(text)


def test_a_long_list_is_read() -> None:
    assert parse_yaml(b"- 1\n" * (MAX_NODES - 1), "x.yaml").value == [1] * (MAX_NODES - 1)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_one_line(data: bytes) -> None:
    with suppress(InputError):
        parse_yaml(data, "x.yaml")
        return
    assert refusal(data).startswith("x.yaml")


def test_a_file_is_named_in_its_errors(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    with pytest.raises(InputError, match=r"missing.yaml: no such file$"):
        read_yaml(missing)
    with pytest.raises(InputError, match=r"must be a file, got a directory$"):
        read_yaml(tmp_path)
    big = tmp_path / "big.yaml"
    big.write_bytes(b"a: " + b"x" * 50_000_000)
    with pytest.raises(InputError, match=r"big.yaml: must be at most 1000000 bytes of YAML"):
        read_yaml(big)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_yaml(path).value == {"a": 1}
