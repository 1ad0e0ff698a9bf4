"""Instructions that a program can check: for each a text that follows it and one that does not."""

from __future__ import annotations

from typing import Any

import pytest

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Candidates, Query, Sample
from nbest.scorers.validators.instructions import CHECKS, FollowsInstructions, loose_forms

LEAST, LESS = {"relation": "at least"}, {"relation": "less than"}

EACH: dict[str, tuple[dict[str, Any], str, str]] = {
    "keywords:existence": ({"keywords": ["sun", "moon"]}, "The Moon and sun.", "The sun."),
    "keywords:frequency": ({"keyword": "sun", "frequency": 2} | LEAST, "Sun, sun", "One sun"),
    "keywords:forbidden_words": ({"forbidden_words": ["sun"]}, "Sunny", "The sun."),
    "keywords:letter_frequency": (
        {"letter": "a", "let_frequency": 2, "let_relation": "less than"},
        "cat",
        "A cat",
    ),
    "length_constraints:number_sentences": ({"num_sentences": 2} | LEAST, "One. Two!", "One."),
    "length_constraints:number_words": ({"num_words": 3} | LESS, "one two", "one two three"),
    "length_constraints:number_paragraphs": ({"num_paragraphs": 2}, "a\n***\nb", "a\n***\n***\nb"),
    "length_constraints:nth_paragraph_first_word": (
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "then"},
        "First.\n\nThen, more.",
        "First.\n\nNow, more.",
    ),
    "detectable_content:number_placeholders": ({"num_placeholders": 2}, "[a] [b]", "[a]"),
    "detectable_content:postscript": (
        {"postscript_marker": "P.S."},
        "Bye.\nP.S. One more.",
        "Groups of them.",
    ),
    "detectable_format:number_bullet_lists": ({"num_bullets": 2}, "* a\n- b", "* a\n- b\n- c"),
    "detectable_format:constrained_response": ({}, "My answer is maybe.", "Maybe."),
    "detectable_format:number_highlighted_sections": (
        {"num_highlights": 2},
        "*one* and **two**",
        "*one* and two",
    ),
    "detectable_format:multiple_sections": (
        {"section_spliter": "Section", "num_sections": 2},
        "Section 1\na\nSection 2\nb",
        "Section 1\na",
    ),
    "detectable_format:json_format": ({}, '```json\n{"a": 1}\n```', "{a: 1"),
    "detectable_format:title": ({}, "<<Songs>>\nLa.", "<< >> La."),
    "combination:two_responses": ({}, "One\n******\nTwo", "One\n******\nOne"),
    "combination:repeat_prompt": ({"prompt_to_repeat": "Say it."}, "Say it.\nIt.", "It. Say it."),
    "startend:end_checker": ({"end_phrase": "the end."}, "So. The end.", "The end. So."),
    "startend:quotation": ({}, '"All of it."', '"Some" of it.'),
    "change_case:capital_word_frequency": (
        {"capital_frequency": 2, "capital_relation": "at least"},
        "ONE and TWO",
        "ONE and two",
    ),
    "change_case:english_capital": ({}, "ALL OF IT 1", "All of it"),
    "change_case:english_lowercase": ({}, "all of it 1", "All of it"),
    "punctuation:no_comma": ({}, "One and two.", "One, two."),
}


def verdicts(texts: list[str], names: list[str], settings: list[Any], **own: Any) -> list[bool]:
    query = Query(id="q", prompt="?", meta={"instruction_id_list": names, "kwargs": settings})
    samples = tuple(Sample(id=f"q/s{i}", text=text) for i, text in enumerate(texts))
    candidates = Candidates(samples=samples, answers=tuple(texts))
    flags = wait_for(FollowsInstructions(**own)(query, candidates))
    return [bool(flag) for flag in flags]


@pytest.mark.parametrize("name", CHECKS)
def test_each_instruction_is_followed_or_is_not(name: str) -> None:
    settings, right, wrong = EACH[name]
    nothing = {"keyword": None, "num_words": None} | settings  # as tables have it
    assert verdicts([right, wrong, "", " \n"], [name], [nothing]) == [True, False, False, False]


def test_all_of_them_must_be_followed() -> None:
    names = ["punctuation:no_comma", "detectable_format:title"]
    texts = ["<<A>> b", "<<A>> b, c", "b"]
    assert verdicts(texts, names, [{}, None]) == [True, False, False]


def test_loose_forgives_a_first_line_a_last_line_and_asterisks() -> None:
    text = 'Sure, here it is:\n**"All of it."**\nI hope it helps.'
    assert verdicts([text], ["startend:quotation"], [{}]) == [False]
    assert verdicts([text], ["startend:quotation"], [{}], loose=True) == [True]
    assert len(loose_forms(text)) == 9


@pytest.mark.parametrize(
    ("names", "settings", "why"),
    [
        (["language:response_language"], [{}], "must name instructions known here"),
        ([], [], "must name instructions, got"),
        (["punctuation:no_comma"], [], "must have a mapping for each of 1 instructions"),
        (["keywords:existence"], [{}], "keywords:existence must have the settings"),
        (
            ["keywords:frequency"],
            [{"keyword": "a", "frequency": 1, "relation": "about"}],
            "must be",
        ),
    ],
)
def test_what_cannot_be_checked_is_an_error_and_no_verdict(
    names: list[str], settings: list[Any], why: str
) -> None:
    with pytest.raises(InputError, match=why):
        verdicts(["text"], names, settings)


@pytest.mark.parametrize(
    ("name", "settings", "text", "follows"),
    [
        ("detectable_format:constrained_response", {}, "MY ANSWER IS YES.", False),
        ("detectable_content:postscript", {"postscript_marker": "P.S."}, "P.S thanks", False),
        ("detectable_content:postscript", {"postscript_marker": "P.S."}, "see p. seven", False),
        ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "P. P. S one", True),
        (
            "length_constraints:nth_paragraph_first_word",
            {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "word"},
            "a b\n\n\n\nword c",
            False,
        ),
        (
            "detectable_format:number_highlighted_sections",
            {"num_highlights": 2},
            "* **Foo**: x",
            True,
        ),
        ("detectable_format:title", {}, "<<A > B>>", True),
        ("detectable_format:title", {}, "<<Ode to <b>>>", True),
        ("detectable_format:title", {}, "a << b\n>> c", False),
        (
            "detectable_format:multiple_sections",
            {"section_spliter": "Section ", "num_sections": 1},
            "_Section 1_",
            True,
        ),
        ("keywords:frequency", {"keyword": " sun ", "frequency": 1} | LEAST, "Sun.", True),
        (
            "detectable_content:number_placeholders",
            {"num_placeholders": 2},
            "[a [b] c] [\n]",
            False,
        ),
    ],
)
def test_corner_cases_are_those_of_the_authors_code(
    name: str, settings: dict[str, Any], text: str, follows: bool
) -> None:
    assert verdicts([text], [name], [settings]) == [follows]


@pytest.mark.parametrize(
    "text", ["*" * 20_000, "[" * 60_000, "<<" * 30_000, " \n" * 20_000 + "a", '"' * 20_000]
)
def test_hostile_texts_take_no_time(text: str) -> None:
    for name, (settings, _, _) in EACH.items():
        verdicts([text], [name], [settings])
