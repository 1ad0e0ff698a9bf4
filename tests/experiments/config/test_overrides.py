"""`--set`: what an assignment changes, and what it leaves alone."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.experiments.config.overrides import apply_overrides, parse_override
from nbest.experiments.language.errors import Origins, dotted
from nbest.orchestrator.errors import InputError

# JSON writes other characters as two escapes, which YAML does not know.
BMP = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])
NAMES = st.from_regex(r"[a-z_][a-z0-9_-]{0,6}", fullmatch=True)
PATHS = st.tuples(NAMES, st.lists(NAMES | st.integers(0, 99), max_size=4)).map(
    lambda parts: (parts[0], *parts[1])
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(BMP, max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
RAW: dict[str, object] = {"a": {"b": 1, "c": [10, {"d": 20}]}, "e": None, "f": 5}
ORIGINS = Origins(source="x.yaml", lines={("a",): 1, ("a", "b"): 2, ("a", "c"): 3, ("f",): 9})


def get(value: object, path: tuple[str | int, ...]) -> object:
    for step in path:
        value = value[step]  # type: ignore[index] # the path leads through containers
    return value


@given(PATHS, VALUES)
def test_a_path_and_a_value_survive_being_written_down(
    path: tuple[str | int, ...], value: object
) -> None:
    # JSON text is YAML text.
    assert parse_override(f"{dotted(path)}={json.dumps(value)}") == (path, value)


@given(st.lists(NAMES, min_size=1, max_size=4).map(tuple), VALUES)
def test_an_assignment_sets_its_path_and_touches_nothing_else(
    path: tuple[str, ...], value: object
) -> None:
    before: dict[str, object] = {"zz": {"kept": [1, 2]}}
    raw = copy.deepcopy(before)
    changed, origins = apply_overrides(raw, [f"{dotted(path)}={json.dumps(value)}"], ORIGINS)
    assert get(changed, path) == value
    assert raw == before
    assert path[0] == "zz" or changed["zz"] == before["zz"]
    assert origins.where(path).startswith("--set ")


@given(VALUES, VALUES)
def test_the_last_of_two_assignments_wins(first: object, last: object) -> None:
    texts = [f"a.b={json.dumps(first)}", f"a.b={json.dumps(last)}"]
    assert apply_overrides(RAW, texts, ORIGINS)[0] == apply_overrides(RAW, texts[1:], ORIGINS)[0]


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("a.b=8", ("a", "b"), 8),
        ("a.c[1].d=x", ("a", "c", 1, "d"), "x"),
        ("a.c[0]=random(seed=3)", ("a", "c", 0), "random(seed=3)"),
        ("e.new=[1, two]", ("e", "new"), [1, "two"]),
        ("a.b=", ("a", "b"), None),
        ('a.b="x=y: z"', ("a", "b"), "x=y: z"),
        ("a.b=1e-3", ("a", "b"), 0.001),
    ],
)
def test_values_are_yaml(text: str, path: tuple[str | int, ...], value: object) -> None:
    assert get(apply_overrides(RAW, [text], ORIGINS)[0], path) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "--set must look like key.key=value, got 'a'"),
        ("=1", "--set must look like key.key=value, got '=1'"),
        ("a..b=1", "--set must look like key.key=value, got 'a..b=1'"),
        ("[0]=1", "--set must look like key.key=value, got '[0]=1'"),
        ("a[x]=1", "--set must look like key.key=value, got 'a[x]=1'"),
        ("f.x=1", "--set f.x=1: f holds no keys, it is 5"),
        ("a.c.x=1", "--set a.c.x=1: a.c is a list: name an entry by its number, as in [0]"),
        ("a.c[2]=1", "--set a.c[2]=1: a.c has 2 entries, counted from 0"),
        ("a.b[0]=1", "--set a.b[0]=1: a.b is no list"),
        ("a.b=[1", "--set a.b=[1:2:1: broken YAML: did not find expected ',' or ']'"),
        ("a.b=&x 1", "--set a.b=&x 1:1: YAML anchors and aliases are not allowed"),
        ("a.b=\x1b[31m\n[", "--set a.b=?[31m?[:1: broken YAML: control characters"),
    ],
)
def test_a_wrong_assignment_is_quoted(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        apply_overrides(RAW, [text], ORIGINS)
    assert str(caught.value).startswith(message)
    assert str(caught.value).isprintable()


def test_errors_are_blamed_on_the_assignment_and_on_the_file_elsewhere() -> None:
    _, origins = apply_overrides(RAW, ["a={b: 2}"], ORIGINS)
    assert origins.where(("a", "b")) == "--set a={b: 2}"
    assert origins.where(("f",)) == "x.yaml:9"
    assert origins.where(("nowhere",)) == "x.yaml"
