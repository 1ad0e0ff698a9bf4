r"""The pairs of math-verify's own tests: where `grade: mathematics` agrees, and why not elsewhere.

Gold and prediction are texts. The answer in each is what all of its boxes hold; where there is no
box, the last mathematics between dollars or brackets; else what the default extractor reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbest import FinalAnswer
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.graders.mathematics import Mathematics
from nbest.scorers.answers.latex import closing_brace

PAIRS = Path(__file__).parents[4].parent / "shared/data/math_pairs/pairs.jsonl"
BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
MATHEMATICS = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$|\\\[(.+?)\\\]|\\\((.+?)\\\)", re.DOTALL)

LAST_MATHEMATICS = "the last mathematics in the text is not its answer"
ROUNDED = "a rounded number is another number: 0.33 is no third"
# By line of the file, from 0: where we judge otherwise, or read something else.
OTHERWISE = {
    6: "1,22 may be a list of two numbers, and 1.22 is one",
    15: "a line break around a 9 between dollars does not make it another number",
    16: "a line break around a 9 between brackets does not make it another number",
    34: LAST_MATHEMATICS,
    83: ROUNDED,
    88: ROUNDED,
    90: LAST_MATHEMATICS,
    94: LAST_MATHEMATICS,
    102: LAST_MATHEMATICS,
    104: LAST_MATHEMATICS,
    106: LAST_MATHEMATICS,
    111: "a dollar that is money is taken for one that opens mathematics",
    114: "one of two boxes holds a step, and both together are read as the answer",
    139: "of three dollars with words between them only the last is read",
    140: "values with names are in the order of the names beside a list without any",
    165: "two boxes that are far apart are read as one answer, here as everywhere",
    174: "1 - 1/e is not 1 + 1/e",
}


def answer_in(text: str) -> str:
    boxes = [content for content in _boxes(text) if content]
    if boxes:
        return ", ".join(boxes)
    mathematics = MATHEMATICS.findall(text)
    if mathematics:
        return next(part for part in mathematics[-1] if part)
    return FinalAnswer()(text) or ""


def _boxes(text: str) -> Iterator[str]:
    """What the boxes hold that stand in no other."""
    end = 0
    for box in BOX.finditer(text):
        close = closing_brace(text, box.end())
        if box.start() >= end and close is not None:
            end = close
            yield text[box.end() : close]


@pytest.mark.skipif(not PAIRS.exists(), reason="needs ../shared/data/math_pairs")
def test_the_pairs_of_math_verify() -> None:
    pytest.importorskip("math_verify")
    grader = Mathematics(timeout_s=20.0)
    rows = [json.loads(line) for line in PAIRS.read_text().splitlines()]
    otherwise = {
        number
        for number, row in enumerate(rows)
        if (grader(answer_in(row["prediction"]), Gold(answer=answer_in(row["gold"]))) == 1.0)
        != row["same"]
    }
    assert otherwise == set(OTHERWISE)
    assert len(rows) - len(otherwise) == 161
