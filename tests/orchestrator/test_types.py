"""Shared values: every rule of every setting with its message, and sums of usage."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import ConfidenceFloor, Constraint, SamplingParams, Thinking
from nbest.orchestrator.types import Candidates, Outcome, Query, Record, Sample, Status, Usage

NAN = math.nan

BIAS = "logit_bias must hold token ids, and finite numbers"

# Setting, a value just outside, the whole message.
REFUSED: list[tuple[str, object, str]] = [
    ("temperature", -0.1, "temperature must lie in [0, 2], got -0.1"),
    ("temperature", 2.1, "temperature must lie in [0, 2], got 2.1"),
    ("temperature", NAN, "temperature must lie in [0, 2], got nan"),
    ("top_p", 0.0, "top_p must lie in (0, 1], got 0.0"),
    ("top_p", 1.1, "top_p must lie in (0, 1], got 1.1"),
    ("top_p", NAN, "top_p must lie in (0, 1], got nan"),
    ("top_k", -1, "top_k must be at least 0 (0 keeps every token), got -1"),
    ("min_p", -0.1, "min_p must lie in [0, 1], got -0.1"),
    ("min_p", 1.1, "min_p must lie in [0, 1], got 1.1"),
    ("min_p", NAN, "min_p must lie in [0, 1], got nan"),
    ("max_tokens", 0, "max_tokens must be at least 1, got 0"),
    ("stop", ("a", ""), "stop must hold no empty string, got ('a', '')"),
    ("presence_penalty", -2.1, "presence_penalty must lie in [-2, 2], got -2.1"),
    ("presence_penalty", 2.1, "presence_penalty must lie in [-2, 2], got 2.1"),
    ("frequency_penalty", NAN, "frequency_penalty must lie in [-2, 2], got nan"),
    ("repetition_penalty", 0.0, "repetition_penalty must be above 0, got 0.0"),
    ("repetition_penalty", NAN, "repetition_penalty must be above 0, got nan"),
    ("min_tokens", -1, "min_tokens must lie in 0..256, max_tokens, got -1"),
    ("min_tokens", 257, "min_tokens must lie in 0..256, max_tokens, got 257"),
    ("stop_token_ids", (1, -1), "stop_token_ids must hold token ids, 0 or more, got (1, -1)"),
    ("bad_words", ("",), "bad_words must hold no empty string, got ('',)"),
    ("allowed_token_ids", (-1,), "allowed_token_ids must hold token ids, 0 or more, got (-1,)"),
    ("logit_bias", ((-1, 1.0),), f"{BIAS}, got ((-1, 1.0),)"),
    ("logit_bias", ((1, NAN),), f"{BIAS}, got ((1, nan),)"),
    ("logprobs", -1, "logprobs must lie in 0..20, got -1"),
    ("logprobs", 21, "logprobs must lie in 0..20, got 21"),
]

SWITCH = (False, True)

# Both ends of what is allowed.
ALLOWED: dict[str, tuple[object, ...]] = {
    "token_texts": SWITCH,
    "floor": (None,),  # with log-probabilities, below
    "temperature": (0.0, 2.0),
    "top_p": (1e-9, 1.0),
    "top_k": (0, 100_000),
    "min_p": (0.0, 1.0),
    "max_tokens": (1, 1_000_000),
    "stop": ((), ("\n", "###")),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
    "repetition_penalty": (1e-9, 1e9),
    "min_tokens": (0, 256),
    "stop_token_ids": ((), (0, 100_000)),
    "include_stop_str_in_output": SWITCH,
    "ignore_eos": SWITCH,
    "bad_words": ((), ("no", "never")),
    "allowed_token_ids": ((), (0,)),
    "logit_bias": ((), ((0, -100.0), (7, 100.0))),
    "skip_special_tokens": SWITCH,
    "spaces_between_special_tokens": SWITCH,
    "logprobs": (None, 0, 20),
    "constraint": (None, Constraint(regex="a")),
    "thinking": (None, Thinking(budget=0), Thinking(effort="low"), Thinking(enabled=False)),
}

CONSTRAINTS: dict[str, Callable[[], Constraint]] = {
    "json": lambda: Constraint(json="{}"),
    "regex": lambda: Constraint(regex="a"),
    "choice": lambda: Constraint(choice=("a", "b")),
    "grammar": lambda: Constraint(grammar="root ::= 'a'"),
}


@pytest.mark.parametrize(("key", "value", "message"), REFUSED)
def test_a_value_outside_is_refused_with_key_rule_and_value(
    key: str, value: object, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        SamplingParams(**{key: value})  # type: ignore[arg-type]
    assert str(caught.value) == message


@pytest.mark.parametrize("key", ALLOWED)
def test_both_ends_of_every_range_are_allowed(key: str) -> None:
    for value in ALLOWED[key]:
        assert getattr(SamplingParams(**{key: value}), key) == value  # type: ignore[arg-type]


def test_a_floor_wants_the_log_probabilities_that_it_reads() -> None:
    floor = ConfidenceFloor(level=1.5, window=16, k=5)
    assert SamplingParams(floor=floor, logprobs=5).floor == floor
    with pytest.raises(InputError, match="logprobs must be at least 5, the k of the floor, got 4"):
        SamplingParams(floor=floor, logprobs=4)
    with pytest.raises(InputError, match="window must be at least 1, got 0"):
        ConfidenceFloor(level=1.5, window=0)
    with pytest.raises(InputError, match="level must be a number, got nan"):
        ConfidenceFloor(level=NAN)
    with pytest.raises(InputError, match=r"k must lie in 1..20, got 21"):
        ConfidenceFloor(level=1.5, k=21)


def test_no_setting_is_without_a_test() -> None:
    """A new field with a rule, or without one, is to be added above."""
    names = {field.name for field in fields(SamplingParams)}
    assert names == set(ALLOWED)
    switches = {key for key, values in ALLOWED.items() if values is SWITCH}
    assert names - switches - {"constraint", "floor", "thinking"} == {key for key, _, _ in REFUSED}


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({}, "thinking must say on or off, an effort or a budget"),
        ({"budget": -1}, "budget must be at least 0 tokens, got -1"),
        ({"effort": ""}, "effort must be named, got ''"),
        ({"enabled": False, "effort": "low"}, "thinking must be on to have an effort"),
    ],
)
def test_thinking_that_makes_no_sense_is_refused(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        Thinking(**settings)


@pytest.mark.parametrize("key", CONSTRAINTS)
def test_a_constraint_is_one_thing(key: str) -> None:
    constraint = CONSTRAINTS[key]()
    assert [f.name for f in fields(constraint) if getattr(constraint, f.name) is not None] == [key]


def test_every_kind_of_constraint_is_tested() -> None:
    assert {field.name for field in fields(Constraint)} == set(CONSTRAINTS)


def test_a_constraint_is_not_two_things_and_not_none() -> None:
    rule = "constraint must set exactly one of json, regex, choice, grammar, got "
    with pytest.raises(InputError) as nothing:
        Constraint()
    with pytest.raises(InputError) as both:
        Constraint(regex="a", json="{}")
    assert (str(nothing.value), str(both.value)) == (f"{rule}[]", f"{rule}['json', 'regex']")


def test_a_rule_that_holds_says_nothing_and_one_that_fails_is_a_value_error() -> None:
    require(True, "n", "be at least 1", 1)
    with pytest.raises(ValueError, match=r"^n must be at least 1, got 'x\\n'$"):
        require(False, "n", "be at least 1", "x\n")  # the value is shown on one line


def test_candidates_have_one_answer_each() -> None:
    with pytest.raises(AssertionError):
        Candidates(samples=(Sample(id="s", text="7"),), answers=())


def test_candidates_count_their_samples() -> None:
    samples = tuple(Sample(id=f"s{i}", text="7") for i in range(3))
    assert len(Candidates(samples=samples, answers=("7", None, "7"))) == 3


counts = st.integers(0, 10**12)
usages = st.builds(
    Usage,
    samples=counts,
    prompt_tokens=counts,
    cached_tokens=counts,
    generated_tokens=counts,
    cancelled_tokens=counts,
)


@given(a=usages, b=usages, c=usages)
def test_usage_adds_up_field_by_field(a: Usage, b: Usage, c: Usage) -> None:
    for field in fields(Usage):
        total = getattr(a, field.name) + getattr(b, field.name)
        assert getattr(a + b, field.name) == total
    assert a + Usage() == a
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)


def test_only_ok_is_ok() -> None:
    """What votes is one status; nothing else may ever compare equal to it."""
    assert [status for status in Status if status is Status.OK] == [Status("ok")]
    assert len({str(status) for status in Status}) == len(Status) == 5
    outcomes = ["answered", "abstained", "error", "quarantined", "out_of_budget"]
    assert [str(outcome) for outcome in Outcome] == outcomes


def test_a_sample_is_ok_and_costs_nothing_unless_said() -> None:
    sample = Sample(id="r/q/s0", text="7")
    assert (sample.status, sample.logprobs, sample.generated_tokens) == (Status.OK, None, 0)


def test_a_record_without_a_confidence_has_nan_and_not_zero() -> None:
    record = Record(query_id="q", strategy="", outcome=Outcome.ERROR)
    assert math.isnan(record.confidence)
    assert (record.index, record.answer, record.usage) == (None, None, Usage())


def test_values_do_not_change() -> None:
    params = SamplingParams()
    with pytest.raises(FrozenInstanceError):
        params.top_k = 3  # type: ignore[misc]
    assert replace(params, top_k=3) != params


def test_two_queries_do_not_share_their_meta() -> None:
    first, second = Query(id="a", prompt="?"), Query(id="b", prompt="?")
    assert first.meta == {}
    assert first.meta is not second.meta
