"""Programs made of a prompt and an answer: the whole function, or its body, however it came."""

from __future__ import annotations

import pytest

from nbest.scorers.validators.python_tests import program_of

PROMPT = 'import math\n\n\ndef f(x):\n    """Round down, and add one."""\n'


@pytest.mark.parametrize(
    "answer",
    [
        "def f(x):\n    return math.floor(x) + 1",
        "return math.floor(x) + 1",
        "    return math.floor(x) + 1",
        "import math\nreturn math.floor(x) + 1",
        "import math\n    return math.floor(x) + 1",
        "def g(y):\n    return y + 1\nreturn g(math.floor(x))",
        "y = math.floor(x)\n    return y + 1",
        "if x < 0:\n    return math.floor(x) + 1\nreturn math.floor(x) + 1",
    ],
)
def test_every_form_of_an_answer_is_the_same_program(answer: str) -> None:
    space: dict[str, object] = {}
    exec(program_of(answer, PROMPT), space)
    assert space["f"](2.5) == 3  # type: ignore[operator]


@pytest.mark.parametrize("answer", ["return (", "\0", "x" * 10 + "(" * 5000, ""])
def test_what_is_no_program_is_left_as_it_is(answer: str) -> None:
    assert answer in program_of(answer, PROMPT)
