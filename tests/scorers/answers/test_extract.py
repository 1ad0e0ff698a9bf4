"""Extractors: where each looks, and that no text at all can hurt one."""

import json
import pickle
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbest import AfterMarker, Boxed, ChoiceLetter, FinalAnswer, LastNumber, Regex
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Extractor
from nbest.scorers.structured.extract import JsonValue, YamlValue

# The types are the test, under mypy: each class is an Extractor.
EXTRACTORS: tuple[Extractor, ...] = (
    LastNumber(),
    AfterMarker(),
    Boxed(),
    Regex(pattern=r"(\d+)"),
    ChoiceLetter(),
    FinalAnswer(),
    JsonValue(),
    JsonValue(repair="none"),
    YamlValue(),
)
GSM8K = Path(__file__).parents[3].parent / "shared/data/gsm8k/test.jsonl"
LONG = 60_000
PIECES = (
    *("1", "1,", "1,000", "1,000,", "1/", "0/0", "0/0.", "1.1.", "1e", "9e999", ".5", "- ", "1{,}"),
    *("1x10^", "1 x 10^{", r"\frac{1}{", r"\boxed{", r"\a{", "{", "}", "\\", "$", "*", "(", "[ "),
    *(
        "answer is ",
        "answer:",
        "answer" + " " * 999,
        "answer is A ",
        "Answer: (",
        "(A",
        "A",
        "A)\n",
    ),
    *(" ", "\n", "\n ", " \n", "\t", "#### ", "####", "\ud800", "\u0663", "\u0130"),
)

every_extractor = pytest.mark.parametrize("extract", EXTRACTORS, ids=repr)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 + 2 = 4\n#### 4", "4"),
        ("#### 1,000\nmore text 5", "1000"),
        ("#### 1\n#### 2", "2"),
        ("#### -5", "-5"),
        ("####A", "A"),
        ("#### 18 dollars\r\n", "18"),
        ("#### 18 or 19", "18 or 19"),
        *((f"#### {text}", text) for text in ("3 sixteenths", "18 elevenths", "5 factorials")),
        *(
            (f"#### {text}", text)
            for text in ("5 pi", "5 xy", "8 PM", "5 BC", "18 below", "5 eleven")
        ),
        ("#### 18 apples", "18"),
        ("#### 18 lakh", "1800000"),
        ("#### 5 bn", "5000000000"),
        ("#### 3 quarters", "3 quarters"),
        ("#### 5 million people", "5000000"),
        ("#### **18**</s>", "18"),
        ("#### 18<|im_end|>", "18"),
        ("#### 18\n\n####", "18"),
        ("#### 18 ####", "18"),
        ("<think>#### 3</think>#### 4", "4"),
        ("####\n18", None),
        ("no marker 5", None),
    ],
)
def test_after_marker(text: str, expected: str | None) -> None:
    assert AfterMarker()(text) == expected


def test_after_another_marker() -> None:
    assert AfterMarker(marker="A:")("Q: 1 A: 2") == "2"
    with pytest.raises(InputError, match=r"^marker must not be empty, got ''$"):
        AfterMarker(marker="")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"so \boxed{42}.", "42"),
        (r"\boxed{1} or \boxed{2}", "2"),
        (r"\boxed{1,000}", "1000"),
        (r"\boxed{\frac{1}{2}}", "0.5"),
        (r"\boxed{\frac{a}{b}}", r"\frac{a}{b}"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{1, 2\right.}", r"\left\{1, 2\right."),
        (r"\boxed{(3, 4)}", "(3, 4)"),
        (r"\boxed{ A }", "A"),
        (r"\boxed{-5}", "-5"),
        (r"\fbox{5}", "5"),
        (r"\boxed 5", "5"),
        (r"\boxed -1.5 at last", "-1.5"),
        (r"\boxed \pi", r"\pi"),
        (r"\boxed  {5}", "5"),
        (r"\boxed{5} and then \boxed{}", "5"),
        (r"\boxed{\text{5}}", "5"),
        (r"\boxed{5} <think>\boxed{6}</think>", "5"),
        (r"<think>\boxed{6}</think>", None),
        (r"\boxedtext 5", None),
        *((rf"\boxed {text}", None) for text in ("1/2", "5x", "5^2", r"3\sqrt{2}")),
        *((rf"\boxed{text}", None) for text in (r"\frac{1}{2}", r"\sqrt{2}", r"\text{5}")),
        (r"\boxed{5}. I put it in \boxed a second time.", "5"),
        (r"\boxed{5} (using \boxed{...})", "5"),
        (r"\boxed{}", None),
        (r"\boxed{5", None),
        (r"\boxed{1} and \boxed{{5}", None),
        (r"boxed{5}", None),
    ],
)
def test_boxed(text: str, expected: str | None) -> None:
    assert Boxed()(text) == expected


@pytest.mark.parametrize(
    ("pattern", "group", "expected"),
    [
        (r"\d+", None, "34"),
        (r"(\d)(\d)", None, "3"),
        (r"(\d)(\d)", 2, "4"),
        (r"(\d)(?P<answer>\d)", None, "4"),
        (r"(?P<tens>\d)(?P<answer>\d)", "tens", "3"),
        (r"(\d)(?P<answer>\d)", 0, "34"),
        (r"b(x)?", None, None),
        (r"z", None, None),
        (r"", None, None),
        (r"and.*4 ", None, "and 34"),
    ],
)
def test_regex(pattern: str, group: int | str | None, expected: str | None) -> None:
    assert Regex(pattern=pattern, group=group)("ab12 and 34 ") == expected


def test_regex_rewrites_no_number() -> None:
    assert Regex(pattern="= (.*)")("= 1,000.0") == "1,000.0"


@pytest.mark.parametrize(
    ("pattern", "group", "message"),
    [
        ("(", None, "pattern must be a regex (missing ), unterminated subpattern at position 0)"),
        ("a", 1, "group must be a group of the pattern, one of [0], got 1"),
        ("(?P<x>a)", "y", "group must be a group of the pattern, one of [0, 1, 'x'], got 'y'"),
    ],
)
def test_regex_refuses(pattern: str, group: int | str | None, message: str) -> None:
    with pytest.raises(InputError, match="^" + re.escape(message)):
        Regex(pattern=pattern, group=group)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"#### 1, the answer is 2, \boxed{3}", "3"),
        (r"\boxed{unbalanced; #### 1", "1"),
        ("the answer is 2\n#### 1", "1"),
        ("The answer is 3. Wait, no. The answer is 5.", "5"),  # T8
        ("The final answer is $12$. I hope it is correct.", "12"),
        ("Answer: **Paris**", "Paris"),
        ("ANSWER:\n\n1,000", "1000"),
        ("The answer: .5", "0.5"),
        ("answer = -5", "-5"),
        ("The answer is 3.14.", "3.14"),
        ("What is the answer? 7 and 8", "8"),
        ("answer is", "answer is"),
        ("3 + 4 = 7", "7"),
        ("#### Step 2: Conclusion\nThe answer is 5.", "5"),
        ("#### Working\n3 and 4\n#### Conclusion\nIt is 7", "7"),
        ("#### 18\nLet me know if you need more.", "18"),
        ("The answer is 5. I hope this answer is helpful.", "5"),
        ("The answer is helpful", "helpful"),
        ("The answer is blue. I hope this answer is helpful.", "blue"),
        ("The answer is 5.\n\nNote: the answer is in US dollars.", "5"),
        ("The answer is 15. You can verify the answer is divisible by 5.", "15"),
        ("The answer is 43. The answer is not 42.", "43"),
        ("The answer is 12.\n\n#### Note", "12"),
        ("The answer is 4. Use #### for headings.", "4"),
        ("The answer is **42**, the product.", "42"),
        ('{"answer": 5}', "5"),
        ("The answer is 42!", "42"),
        ("The answer is about 12.", "12"),
        ("The answer is 42; this follows from 6*7.", "42"),
        ("The answer is Sgt. Pepper.", "Sgt. Pepper"),
        ("So the answer is seven. I hope that the answer is clear.", "seven"),
        ("The answer is 42 because 6*7=42.", "42"),
        ("The answer is 42, since 6*7 is 42.", "42"),
        ("The answer is 42, which is even.", "42"),
        ("The answer is 3, 4 and 5.", "3, 4 and 5"),
        ("The answer is 3, or 4.", "3, or 4"),
        ("The answer is Paris because it is the capital.", "Paris"),
        ("**Answer**: Paris", "Paris"),
        ("**Answer:** Paris", "Paris"),
        ("__Final Answer__: 1,000", "1000"),
        ("Answer\uff1aParis", "Paris"),
        ("<answer>Paris</answer>", "Paris"),
        ("<answer> 1,000 </answer> <answer></answer>", "1000"),
        ("The answer is St. Louis.", "St. Louis"),
        ("The answer is Dr. King. He spoke.", "Dr. King"),
        ("The answer is J. K. Rowling. She wrote it.", "J. K. Rowling"),
        ("The answer is A. The others are wrong.", "A"),
        ("### Final Answer\n**Paris**", "Paris"),
        ("**Final Answer**\n\n\\[ 12 \\]", "12"),
        ("The answer is:\n\n$$x + 1$$\n", "x + 1"),
        ("The answer should be Paris.", "Paris"),
        ("The answer would be 7.", "7"),
        ("The answer to question 3 is 7.", "7"),
        ("The answer is 18 dollars.", "18"),
        ("The answer is 3 quarters.", "3 quarters"),
        ("<think>So \\boxed{3}? No.</think>\nThe answer is 7.", "7"),
        ("the answer is 3?</think>7", "7"),
        ("<think>the answer is 3", None),
        ("<|channel|>analysis<|message|>3?<|end|><|channel|>final<|message|>The answer is 7.", "7"),
        (" Paris\n", "Paris"),
        (" \n", None),
        ("", None),
    ],
)
def test_final_answer(text: str, expected: str | None) -> None:
    assert FinalAnswer()(text) == expected


@every_extractor
@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
@example("")
@example("\ud800")
def test_no_text_raises_and_an_answer_is_never_blank(extract: Extractor, text: str) -> None:
    answer = extract(text)
    assert answer is None or (answer == answer.strip() != "")


@every_extractor
@pytest.mark.parametrize("piece", PIECES, ids=ascii)
@pytest.mark.timeout(20)
@pytest.mark.no_cover
def test_a_long_text_takes_no_time(extract: Extractor, piece: str) -> None:
    # Anything worse than linear time takes minutes here, and runs into the timeout.
    text = (piece * LONG)[:LONG]
    for around in (text, f"1{text}x", rf"The answer is {text}", rf"\boxed{{{text}", f"C) {text}"):
        extract(around)


@every_extractor
def test_an_extractor_pickles_and_shows_its_settings(extract: Extractor) -> None:
    assert pickle.loads(pickle.dumps(extract)) == extract
    assert eval(repr(extract)) == extract


@pytest.mark.skipif(not GSM8K.exists(), reason="needs ../shared/data/gsm8k")
def test_gold_answers_of_gsm8k() -> None:
    solutions = [json.loads(line)["answer"] for line in GSM8K.read_text().splitlines()]
    golds = [AfterMarker()(solution) for solution in solutions]
    assert all(gold is not None and re.fullmatch(r"-?\d+(\.\d+)?", gold) for gold in golds)
    assert golds == [LastNumber()(solution) for solution in solutions]
    assert golds == [FinalAnswer()(solution) for solution in solutions]


@every_extractor
def test_what_was_thought_is_read_only_on_request(extract: Extractor) -> None:
    draft = "The answer is 3: #### 3\n\\boxed{3}"
    assert extract(f"<think>{draft}</think>") is None
    assert extract(f"{draft}</think>") is None
    is_value = isinstance(extract, JsonValue | YamlValue)  # a value is never a thought
    assert hasattr(extract, "reads_reasoning") != is_value
    if not isinstance(extract, ChoiceLetter) and not is_value:
        reads_all = replace(extract, reads_reasoning=True)  # type: ignore[type-var]
        assert reads_all(f"<think>{draft}</think>") == "3"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Die Antwort ist 42.", "42"),
        ("Die Antwort lautet Paris.", "Paris"),
        ("La respuesta es 42", "42"),
        ("La r\u00e9ponse est 42.", "42"),
    ],
)
def test_an_answer_is_said_in_other_languages(text: str, answer: str) -> None:
    assert FinalAnswer()(text) == answer
