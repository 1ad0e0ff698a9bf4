"""ChoiceLetter: what is a choice, and above all what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import ChoiceLetter
from nbest.orchestrator.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Said to be the answer.
        ("The answer is (C).", "C"),
        ("Answer: C", "C"),
        ("**Answer: B**", "B"),
        ("Answer: **B**", "B"),
        ("Answer:\n\nD", "D"),
        ("answer is: [D]", "D"),
        ("the answer is C because it rains", "C"),
        ("the answer is A because it rains", "A"),
        ("The correct option is B.", "B"),
        ("The answer is option C", "C"),
        ("Answer: C) 42", "C"),
        ("Answer: (A) A train", "A"),
        ("Final Answer: The final answer is $C$.", "C"),
        (r"The answer is $\boxed{\text{b}}$.", "B"),
        ("The answer is (c).", "C"),
        ("answer: a", "A"),
        ("The answer is (B). Wait, no. The answer is (D).", "D"),  # T8: the final one
        (r"\boxed{B}, that is, the answer is (D)", "D"),
        # In a box.
        (r"so \boxed{C}", "C"),
        (r"\boxed{\text{C}}", "C"),
        (r"\boxed{\textbf{(C) } 42}", "C"),
        (r"\boxed{c}", "C"),
        # Alone.
        ("C", "C"),
        ("c", "C"),
        ("A", "A"),  # T19
        ("(A)", "A"),
        ("I weigh them up.\n**B**\n", "B"),
        ("B\r\nbecause it rains", "B"),
        ("C) 42", "C"),
        ("C. Paris", "C"),
        ("I think (B) is best", "B"),
        ("(C) 42", "C"),
        ("(A) is wrong, so (B)", "B"),
        ("**Answer**: D", "D"),
        ("__Answer__: (d)", "D"),
        ("Answer\uff1aD", "D"),
        ("Antwort: C", "C"),
        ("Respuesta: B", "B"),
        ("The answer should be B.", "B"),
        ("<answer>B</answer>", "B"),
        ("<answer>(B) 42</answer>", "B"),
        ("Option B is correct.", "B"),
        ("(C) is the correct answer.", "C"),
        ("B is right", "B"),
        (r"The answer is \(C\)", "C"),
        ("<think>The answer is A?</think>B", "B"),
        ("Not (A), but (B)", "B"),
        ("It is (B). Certainly not (A).", "B"),
        # Denied, asked about, or listed.
        ("Option (A) is wrong.", None),
        ("The answer is neither (A) nor (B).", None),
        ("I don't think the answer is (A).", None),
        ("(A) cannot be it", None),
        ("Is it right that the answer is (A)?", None),
        ("The options are (A) 1, (B) 2, (C) 3.", None),
        ("It could be (A) or (B).", None),
        ("Option B is not correct.", None),
        ("Option B is incorrect.", None),
        ("The answer is (A) or (B).", None),
        ("The answer is B, C, and D.", None),
        ("Answer: A & C", None),
        (r"\boxed{(A) or (C)}", None),
        ("If the answer is B, then x = 1.", None),
        ("Suppose the answer is B. Then x=1.", None),
        ("The least likely answer is B.", None),
        ("(A) fails.", None),
        ("(A) is a trap.", None),
        ("Option (A) contradicts the passage.", None),
        ("See equation (A).", None),
        ("A) is wrong", None),
        ("A\nB\nC\nD", None),
        ("Answer: C(5,2)", None),
        ("Answer: B + C", None),
        ("The answer is E. coli.", None),
        ("The answer is B, because A is wrong.", "B"),
        ("The answer is A, I am sure.", "A"),
        # No choice at all.
        (r"A train travels 60 km. \boxed{30}", None),  # T8
        ("A train travels from A to B.", None),
        ("The answer is A train", None),
        ("The answer is a good one", None),
        ("The answer is not A.", None),
        (r"\boxed{A train}", None),
        ("A) 3\nB) 4\nC) 5", None),
        ("P(A) = 0.3", None),
        ("Answer: C++", None),
        ("Answer: C-130", None),
        ("Answer: C = 5", None),
        ("Answer: E's", None),
        ("Answer: Canada", None),
        ("Answer: F", None),
        ("", None),
    ],
)
def test_choice(text: str, expected: str | None) -> None:
    assert ChoiceLetter()(text) == expected


@given(st.text())
def test_only_letters_in_use_are_chosen(text: str) -> None:
    for letters in ("ABCDE", "xyz", "I"):
        assert ChoiceLetter(letters=letters)(text) in {None, *letters}


@given(st.sampled_from("ABCDE"), st.sampled_from("ABCDE"), st.text("ABCDE abcde .\n", max_size=40))
def test_the_last_word_counts(first: str, last: str, between: str) -> None:
    text = f"The answer is ({first}).{between}\nNo: the answer is ({last})."
    assert ChoiceLetter()(text) == last


def test_letters_decide_what_can_be_chosen() -> None:
    assert ChoiceLetter(letters="ABCDEFGHIJ")("Answer: J") == "J"
    assert ChoiceLetter(letters="ABCDEFGHIJ")("Answer: I think so") is None
    assert ChoiceLetter(letters="abcd")("Answer: B") == "b"
    assert ChoiceLetter(letters="UPERLOWANY")("Answer: Y") == "Y"


@pytest.mark.parametrize("letters", ["", "AA", "Aa", "A1", "A]", "\u00c4B"])
def test_what_is_refused(letters: str) -> None:
    with pytest.raises(InputError, match=r"^letters must be distinct ASCII letters, got '"):
        ChoiceLetter(letters=letters)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("D is the answer", "D"),
        ("So **D** is the final answer.", "D"),
        ("Die richtige Antwort ist (D).", "D"),
        ("La respuesta es C.", "C"),
        ("I think D is the answer, but C is the answer", "C"),
        ("A is the answer to another question", None),
        ("If D is the answer, then", None),
        ("Is D the answer?", None),
        ("D is not the answer", None),
    ],
)
def test_a_letter_that_is_the_answer(text: str, letter: str | None) -> None:
    assert ChoiceLetter()(text) == letter
