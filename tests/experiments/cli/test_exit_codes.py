"""The exit statuses, and how many failed questions are too many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.experiments.cli.ending import Exit, tolerated_errors
from nbest.orchestrator.errors import InputError


def test_the_statuses_are_a_promise() -> None:
    assert {status.name: int(status) for status in Exit} == {
        "OK": 0,
        "FAILED": 1,
        "WRONG_INPUT": 2,
        "SOME_ERRORS": 3,
        "INTERRUPTED": 75,
    }


@pytest.mark.parametrize(
    ("text", "tolerated"),
    [
        ("true", 0),
        ("True", 0),
        ("false", 200),  # all may fail
        ("0", 0),
        ("0.0", 0),
        ("0.1", 20),  # a share: more than that are too many
        ("0.999", 199),
        ("1", 0),  # a count: that many are too many
        ("1.0", 0),
        ("5", 4),
        ("1000", 999),
        (" 2 ", 1),
    ],
)
def test_a_word_a_share_or_a_count(text: str, tolerated: int) -> None:
    assert tolerated_errors(text, 200) == tolerated


def test_a_share_is_exact() -> None:
    assert 0.29 * 100 < 29
    assert tolerated_errors("0.29", 100) == 29


@pytest.mark.parametrize(
    "text", ["", "some", "-1", "-0.1", "1.5", "nan", "inf", "-inf", "1e999", "0x10", "yes", "1/2"]
)
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError) as caught:
        tolerated_errors(text, 200)
    rule = "be true, false, a share below 1 or a count"
    assert str(caught.value) == f"--fail-on-error must {rule}, got {text!r}"


@given(percent=st.integers(0, 99), num_queries=st.integers(0, 10_000))
def test_a_share_of_the_questions_may_fail_and_not_one_more(percent: int, num_queries: int) -> None:
    tolerated = tolerated_errors(f"0.{percent:02}", num_queries)
    assert tolerated * 100 <= percent * num_queries < (tolerated + 1) * 100


@given(count=st.integers(1, 10_000), num_queries=st.integers(0, 10_000))
def test_a_count_does_not_depend_on_how_many_questions_there_are(
    count: int, num_queries: int
) -> None:
    assert tolerated_errors(str(count), num_queries) == count - 1
