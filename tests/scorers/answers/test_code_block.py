"""CodeBlock: which block is the answer, however its fence is written."""

import pytest

from nbest import CodeBlock


def fenced(code: str, language: str = "", fence: str = "```") -> str:
    return f"{fence}{language}\n{code}\n{fence}\n"


@pytest.mark.parametrize(
    ("text", "language", "code"),
    [
        (fenced("x = 1"), "python", "x = 1"),
        (fenced("x = 1", "python") + "Output:\n" + fenced("1"), "python", "x = 1"),
        (fenced("1") + fenced("x = 1", "python"), "python", "x = 1"),
        (fenced("x = 1", "python") + fenced("x = 2", "py"), "python", "x = 2"),
        (fenced("x = 1", "python3"), "python", "x = 1"),
        (fenced("x = 1", "Python"), "python", "x = 1"),
        (fenced("x = 1", "{python}"), "python", "x = 1"),
        (fenced("x = 1", "{.python .numberLines}"), "python", "x = 1"),
        (fenced("x = 1", "python title=a.py"), "python", "x = 1"),
        (fenced("SELECT 1", "sqlite"), "sql", "SELECT 1"),
        (fenced("SELECT 1", "postgresql"), "sql", "SELECT 1"),
        (fenced("ls", "bash"), "python", None),
        (fenced("x = 1", "python", "~~~"), "python", "x = 1"),
        (fenced("x = 1", "python").replace("\n", "\r\n") + "It sets x.\r\n", "python", "x = 1"),
        (
            "1. Do this:\n   ```python\n   x = 1\n   if x:\n       y = 2\n   ```\n",
            "python",
            "x = 1\nif x:\n    y = 2",
        ),
        ("- ```python\n  x = 1\n  ```\n", "python", "x = 1"),
        # The prompt has opened the fence.
        ("x = 1\n```\nThis sets x.", "python", "x = 1"),
        ("x = 1\n```\n", "python", "x = 1"),
        ("x = 1\n```\nOr else:\n" + fenced("x = 2", "python"), "python", "x = 2"),
        # What was thought is not read.
        (
            "<think>" + fenced("bad", "python") + "</think>\n" + fenced("good", "python"),
            "python",
            "good",
        ),
        (fenced("a\n```\nb", "", "````"), None, "a\n```\nb"),
        ("```python\nx = 1", "python", "x = 1"),
        ("Here is the code:\n```\nx = 1", "python", "x = 1"),
        ("Sure!\n```\ndef f():\n    return 1", "python", "def f():\n    return 1"),
        ("First\n```\nx = 1\n```\nthen\n```\ny = 2\n", "python", "y = 2"),
        ("```python\nx = 1\n```<|im_end|>", "python", "x = 1"),
        ("```python\nx = 1\n```</s>", "python", "x = 1"),
        (fenced("x = 1", "python") + "```python\n\n```\n", "python", "x = 1"),
        (fenced("SELECT 1", "pgsql"), "sql", "SELECT 1"),
        ("x = 1", "python", "x = 1"),
        ("", "python", None),
    ],
)
def test_the_block_that_is_the_answer(text: str, language: str | None, code: str | None) -> None:
    assert CodeBlock(language=language)(text) == code


def test_without_a_fence_there_may_be_no_code() -> None:
    assert CodeBlock(needs_fence=True)("x = 1") is None
    assert CodeBlock(language="sql", needs_fence=True)(fenced("ls", "bash")) is None


def test_a_block_within_markdown_is_found() -> None:
    text = "````markdown\nHere it is:\n```python\nx = 1\n```\n````"
    assert CodeBlock(language="python")(text) == "x = 1"
    assert CodeBlock(language="md")(text) == "Here it is:\n```python\nx = 1\n```"
    assert (
        CodeBlock(language="python")("````python\nx = 1\n```\ny = 2\n````") == "x = 1\n```\ny = 2"
    )
