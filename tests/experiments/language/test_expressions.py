"""`name(key=value)`: read, never run."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.experiments.config.plugins import build_scorer
from nbest.experiments.language.expressions import Expression, parse_expression, parse_expressions
from nbest.orchestrator.errors import InputError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["seed", "pattern", "k"]), VALUES))
def test_arguments_come_back_as_python_writes_them(arguments: dict[str, object]) -> None:
    text = f"name({', '.join(f'{k}={v!r}' for k, v in arguments.items())})"
    parsed = parse_expression(text)
    assert (parsed.text, parsed.name, parsed.arguments) == (text, "name", arguments)


def test_a_list_is_split_at_its_own_commas_only() -> None:
    text = ' vote , first_valid(regex=r"a,(b)\\d"),random(seed=-3)'
    expressions = parse_expressions(text)
    assert [e.text for e in expressions] == [
        "vote",
        'first_valid(regex=r"a,(b)\\d")',
        "random(seed=-3)",
    ]
    assert expressions[1].arguments == {"regex": r"a,(b)\d"}
    assert expressions[2].arguments == {"seed": -3}


def test_yaml_words_and_unescaped_patterns_are_understood() -> None:
    parsed = parse_expression('x(a=true, b=null, c=false, d="\\d+", e={"k": [1.5]})')
    assert parsed.arguments == {"a": True, "b": None, "c": False, "d": r"\d+", "e": {"k": [1.5]}}


def test_an_argument_can_be_an_expression_again() -> None:
    parsed = parse_expression("weighted_vote(by=random(seed=3), all=[vote, 'x'])")
    by = Expression(text="random(seed=3)", name="random", arguments={"seed": 3})
    vote = Expression(text="vote", name="vote", arguments={})
    assert parsed.arguments == {"by": by, "all": [vote, "x"]}


def test_values_without_a_key_are_those_of_the_first_settings() -> None:
    parsed = parse_expression("first_valid(regex('a'), 3, k=2)")
    assert parsed.arguments == {"k": 2}
    assert parsed.named(["rule", "n", "k"]) == {
        "rule": Expression(text="regex('a')", name="regex", arguments={}, positional=("a",)),
        "n": 3,
        "k": 2,
    }
    for settings, message in (
        (["rule"], "first_valid must have at most 1 arguments"),
        (["rule", "k"], "every argument must be given once"),
    ):
        with pytest.raises(InputError, match=message):
            parsed.named(settings)
    assert build_scorer("random(3)") == build_scorer("random(seed=3)")
    assert build_scorer("plain_first(vote)") == build_scorer("plain_first(by=vote)")


def test_bare_words_are_keys_of_a_mapping() -> None:
    parsed = parse_expression("x(weights={small: 1, large: 2.5, '7b': 3, true: 0, 4: 1})")
    assert parsed.arguments["weights"] == {"small": 1, "large": 2.5, "7b": 3, "true": 0, "4": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must look like name or name(key=value), got ''"),
        ("a b", "must look like name or name(key=value), got 'a b'"),
        ("a(", "must look like name or name(key=value), got 'a('"),
        ("a.b", "must look like name or name(key=value), got 'a.b'"),
        ("a.b(x=1)", "must look like name or name(key=value), got 'a.b(x=1)'"),
        ("3", "must look like name or name(key=value), got '3'"),
        ("a, b", "must be one name or name(key=value), got 'a, b'"),
        ("a(*x)", "every argument must look like value or key=value, got 'a(*x)'"),
        ("a(**x)", "every argument must look like value or key=value, got 'a(**x)'"),
        ("a(x=1, x=2)", "every argument must be given once, got 'a(x=1, x=2)'"),
        ("a(1+1)", "a: argument 1 must be a plain value, got '1+1'"),
        ("a(x=b.c())", "must look like name or name(key=value), got 'b.c()'"),
        ("a(x=1+1)", "a: x must be a plain value, got '1+1'"),
        ("a(x=b'')", "a: x must be a plain value, got \"b''\""),
        ('a(x="\\bword")', 'a: x must hold no control character (write a pattern r"...")'),
        ("a(x={b: 1, 'b': 2})", "a: x must have every key once, got 'b' twice"),
        ("a(x={b(): 1})", "a: x must have texts for keys, got '{b(): 1}'"),
        ("a(x={f.b: 1})", "a: x must have texts for keys, got '{f.b: 1}'"),
        ("a\x00", "must look like name or name(key=value), got 'a\\x00'"),
        ("(" * 5000, "must look like name or name(key=value), got '((((("),
        ("a" * 20_000, "must look like name or name(key=value), got 'aaaaa"),
    ],
)
def test_anything_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_expression(text)
    assert str(caught.value).startswith(message)


@given(st.text(max_size=30))
def test_no_text_raises_anything_but_one_line(text: str) -> None:
    with suppress(InputError):
        parse_expressions(text)
        return
    with pytest.raises(InputError) as caught:
        parse_expressions(text)
    assert "\n" not in str(caught.value)
