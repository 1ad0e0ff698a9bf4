"""How published solutions end, and what is read there: answer, and verdict against the gold answer.

The forms are those of GSM8K and MATH and of models that imitate them; the numbers are made up.
"""

from __future__ import annotations

import pytest

from nbest import FinalAnswer, LastNumber
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.graders.plain import Exact, Number

RIGHT = [
    ("... so she has 42 left.\nA: 42", "42"),
    ("Q: how many?\nA: It is 42", "42"),
    ("He pays 40 + 2 = <<40+2=42>>42\n#### 42", "42"),
    ("#### 1,234", "1234"),
    ("#### $1,234.50", "1234.5"),
    ("#### -7", "-7"),
    ("#### 3/4", "0.75"),
    ("#### 50%", "50"),
    ("#### 18.00", "18"),
    (r"Thus \boxed{42}.", "42"),
    (r"$\boxed{42}$", "42"),
    (r"\boxed{1{,}000}", "1000"),
    (r"\boxed{\frac{1}{2}}", "0.5"),
    (r"\boxed{\dfrac{3}{4}}", "0.75"),
    (r"\boxed{-\frac{1}{2}}", "-0.5"),
    (r"\boxed{\$42}", "42"),
    (r"\boxed{42\%}", "42"),
    (r"First \boxed{7}, no: \boxed{8}", "8"),
    ("The answer is 42.", "42"),
    ("the answer is 42", "42"),
    ("The answer is: 42", "42"),
    ("The final answer is $42.", "42"),
    ("The answer is $1,000.", "1000"),
    ("The answer is **42**.", "42"),
    ("Answer: 42", "42"),
    ("Answer: £3.50", "3.5"),
    ("**Answer:** 42", "42"),
    ("So the answer is 42%.", "42"),
    ("The answer is 3.14.", "3.14"),
    ("The answer is -5.", "-5"),
    ("The answer is 1/3.", "1/3"),
    ("The answer is 3. Wait, no. The answer is 5.", "5"),
    ("The answer is 1e3.", "1000"),
    ("42", "42"),
    (" 42 \n", "42"),
    ("42.0", "42"),
    ("It takes 6 * 7 = 42", "42"),
    ("6 apples and 7 pears: 13 fruits", "13"),
    ("He needs €1,250", "1250"),
]
WRONG = [
    ("#### 142", "42"),
    ("#### 42", "4"),
    ("#### 4", "42"),
    ("#### 42.5", "42"),
    ("#### 1,420", "142"),
    ("#### -42", "42"),
    ("The answer is 421.", "42"),
    ("The answer is 0.42.", "42"),
    (r"\boxed{24}", "42"),
    ("42 apples, but the answer is 7.", "42"),
    ("#### 1/42", "42"),
    ("The answer is 42. Wait, no. The answer is 43.", "42"),
    ("I do not know.", "42"),
]


def read(text: str) -> str | None:
    return FinalAnswer()(text)


@pytest.mark.parametrize(("text", "gold"), RIGHT)
def test_a_right_ending_is_read_and_graded_right(text: str, gold: str) -> None:
    assert Number()(read(text), Gold(answer=gold)) == 1.0


@pytest.mark.parametrize(("text", "gold"), WRONG)
def test_no_part_of_another_number_is_taken_for_it(text: str, gold: str) -> None:
    assert Number()(read(text), Gold(answer=gold)) == 0.0
    assert Exact()(read(text), Gold(answer=gold)) == 0.0


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("She pays $5 each for 3, so $15 in all.", "15"),
        ("That is 1,200 cm, or 12 m", "12"),
        ("50% of 84 is 42", "42"),
        ("from 10-3=7", "7"),
        ("between 1 and 2", "2"),
        ("nothing", None),
    ],
)
def test_the_last_number(text: str, number: str | None) -> None:
    assert LastNumber()(text) == number
