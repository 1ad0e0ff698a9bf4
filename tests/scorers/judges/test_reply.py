"""The reply of a judge is read right or not at all: no default, no middle value."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.types import Query, Sample, Status, TopLogprobs
from nbest.scorers.judges.prompt import judge_prompt
from nbest.scorers.judges.reply import (
    choice_of,
    preference_of,
    score_of,
    stated_letter,
    stated_number,
    stated_score,
)

PROMPT = judge_prompt(Query(id="q", prompt="1+1?"), [("Response", "2")], "Rate it.", "Score:")


def reply(text: str, status: Status = Status.OK) -> Sample:
    return Sample(id="r", text=text, status=status)


def token_reply(text: str, *rows: Mapping[str, float], status: Status = Status.OK) -> Sample:
    """A reply with the probabilities of its likeliest tokens."""
    k = max(map(len, rows))
    filled: list[Sequence[tuple[str, float]]] = [
        [*sorted(row.items(), key=lambda item: -item[1]), *[("<>", 1e-9)] * (k - len(row))]
        for row in rows
    ]
    top = TopLogprobs(
        k=k,
        packed=array("f", (math.log(p) for row in filled for _, p in row)).tobytes(),
        texts=tuple(token for row in filled for token, _ in row),
    )
    return Sample(id="r", text=text, status=status, top_logprobs=top)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("7", 7),
        (" 7\n", 7),
        ("7.", 7),
        ("**7**", 7),
        ("8/10", 8),
        ("8 out of 10", 8),
        ("Score: 9", 9),
        ("**Score:** 9/10", 9),
        ("**Score**: 9", 9),
        ("The final score is 9.", 9),
        ("Rating: 4.5", 4.5),
        ('{"score": 6}', 6),
        ("Score: 9, because every step holds.", 9),
        ("Score: 3\nThe 2nd step is wrong.", 3),
        ("The steps hold.\nScore: 10", 10),
    ],
)
def test_a_score_is_read_right(text: str, score: float) -> None:
    assert stated_score(text, 10) == score
    assert score_of(PROMPT, reply(text), 10) == score


@pytest.mark.parametrize(
    "text",
    [
        "",
        "good",
        "NaN",
        '{"score": NaN}',
        "-3",
        "Score: -3",
        "0",
        "11",
        "8/5",
        "8/100",
        "70%",
        "Score: 70%",
        "> 7",
        "7-8",
        "Score: 7 to 8",
        "7 errors",
        "I found 3 errors",
        "1.\n2.\n3.",
        "1. The first step holds.",
        "Score: 7\nScore: 8",
        "Score: 1e1",
        "Score: 4.5.6",
        "Score: 1,000",
        "7 8",
        "\u0667",
        "seven",
        "Score: " + "9" * 5000,
    ],
)
def test_what_states_no_score_is_nan(text: str) -> None:
    assert math.isnan(score_of(PROMPT, reply(text), 10))


@given(text=st.text(max_size=40) | st.text("0123456789 ./:Scoreis\n*", max_size=20))
def test_no_reply_raises_and_no_score_is_out_of_range(text: str) -> None:
    score = stated_score(text, 5)
    assert math.isnan(score) or 1 <= score <= 5
    assert math.isnan(stated_letter(text)) or stated_letter(text) in (0.0, 1.0)
    assert math.isnan(stated_number(text, 3)) or stated_number(text, 3) in (1, 2, 3)


def test_what_was_cut_off_may_go_on() -> None:
    """A "1" at the end of what max_tokens left may be the start of 10."""
    assert math.isnan(score_of(PROMPT, reply("1", Status.TRUNCATED), 10))
    assert score_of(PROMPT, reply("7\nThis is", Status.TRUNCATED), 10) == 7


@pytest.mark.parametrize("status", [Status.ERROR, Status.CANCELLED, Status.UNPARSEABLE])
def test_a_call_that_failed_says_nothing(status: Status) -> None:
    assert math.isnan(score_of(PROMPT, reply("7", status), 10))
    assert math.isnan(preference_of(PROMPT, reply("A", status)))
    assert choice_of(PROMPT, reply("1", status), 2) is None


def test_a_judge_that_repeats_its_instructions_says_nothing() -> None:
    assert score_of(PROMPT, reply("7\nok"), 10) == 7
    assert math.isnan(score_of(PROMPT, reply(f"7\n{PROMPT.canary.upper()}"), 10))


def test_the_expectation_is_over_the_score_tokens_alone() -> None:
    row = {"4": 0.5, " 5": 0.2, "5": 0.05, "3": 0.05, "The": 0.2}
    expected = (4 * 0.5 + 5 * 0.25 + 3 * 0.05) / 0.8
    assert score_of(PROMPT, token_reply("4", row), 5) == pytest.approx(expected)
    labelled = token_reply("Score: 4", {"Score": 1.0}, {":": 1.0}, {" 4": 0.6, " 2": 0.4})
    assert score_of(PROMPT, labelled, 5) == pytest.approx(3.2)
    cut = token_reply("4", row, status=Status.TRUNCATED)
    assert score_of(PROMPT, cut, 5) == pytest.approx(expected)


@pytest.mark.parametrize(("text", "score"), [("4.5", 4.5), ("Score: 2.5", 2.5), ("3.75/5", 3.75)])
def test_the_first_digit_of_a_fraction_is_not_the_score(text: str, score: float) -> None:
    row = {"4": 0.9, "5": 0.1}
    assert score_of(PROMPT, token_reply(text, row, {".": 1.0}, {"5": 1.0}), 5) == score


def test_a_number_that_is_no_score_does_not_count_as_one() -> None:
    counted = token_reply("3 errors", {"3": 0.9, "1": 0.1}, {" errors": 1.0})
    assert math.isnan(score_of(PROMPT, counted, 5))
    later = token_reply(
        "I see 3\nScore: 1", {"I see ": 1}, {"3": 1}, {"\nScore: ": 1}, {"1": 0.7, "2": 0.3}
    )
    assert score_of(PROMPT, later, 5) == pytest.approx(1.3)
    two_digits = token_reply("42", {"4": 1.0}, {"2": 1.0})
    assert math.isnan(score_of(PROMPT, two_digits, 5))


def test_on_a_scale_of_two_digits_the_number_counts() -> None:
    assert score_of(PROMPT, token_reply("10", {"1": 0.9, "2": 0.1}, {"0": 1.0}), 10) == 10


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A", 1.0),
        ("B.", 0.0),
        ("Response B", 0.0),
        ("**A**", 1.0),
        ("The better response is Response A.", 1.0),
        ("Better response: B", 0.0),
        ("A\n\nIt is shorter.", 1.0),
    ],
)
def test_a_letter_is_read_right(text: str, expected: float) -> None:
    assert preference_of(PROMPT, reply(text)) == expected


@pytest.mark.parametrize("text", ["", "C", "A or B", "A\nB", "A response", "tie", "a", "Both"])
def test_what_prefers_neither_is_nan(text: str) -> None:
    assert math.isnan(preference_of(PROMPT, reply(text)))


def test_a_preference_is_a_probability_where_there_are_any() -> None:
    uncertain = token_reply("A", {"A": 0.6, "B": 0.2, "C": 0.2})
    assert preference_of(PROMPT, uncertain) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The most consistent response is Response 2.", 2),
        ("Response 3", 3),
        (" 1", 1),
        ("Response 4", None),
        ("Response 1 is wrong", None),
        ("Response 1\nResponse 2", None),
        ("all of them", None),
    ],
)
def test_the_number_of_a_response(text: str, expected: int | None) -> None:
    assert choice_of(PROMPT, reply(text), 3) == expected


def test_a_draft_in_the_thought_of_a_judge_is_no_verdict() -> None:
    """Its tokens come first, and the likeliest of them looks like a score."""
    draft = token_reply("9", {"4": 0.9, "5": 0.1}, {"9": 0.8, "8": 0.2})
    assert score_of(PROMPT, replace(draft, reasoning="4?"), 10) == 9
    assert math.isnan(score_of(PROMPT, replace(draft, text="", reasoning="4?"), 10))
