"""How answers are read: a short text once, and each part under its own name."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from nbest import FinalAnswer, WholeText
from nbest.experiments.questions.graders.plain import Exact
from nbest.experiments.questions.reading import SHORT_CHARS, Reading, with_memory
from nbest.orchestrator.errors import PartFailed
from nbest.orchestrator.query.selection import read_answers
from nbest.orchestrator.types import Sample


@dataclass
class Counting:
    """Reads the first word, and keeps what it was given."""

    texts: list[str] = field(default_factory=list)

    def __call__(self, text: str) -> str | None:
        self.texts.append(text)
        return text.split()[0]


def reading(extract: object) -> Reading:
    return Reading(extract=extract, equivalence=None, grade=Exact())  # type: ignore[arg-type]


def samples(*texts: str) -> list[Sample]:
    return [Sample(id=f"r/q/s{i}", text=text) for i, text in enumerate(texts)]


def test_a_short_text_is_read_once_and_a_long_one_each_time() -> None:
    counting = Counting()
    long = "x " * SHORT_CHARS
    extract = with_memory(reading(counting)).extract
    read = read_answers(samples("a b", "a b", "b", long, "a b", long), extract)
    assert read.answers == ("a", "a", "b", "x", "a", "x")
    assert counting.texts == ["a b", "b", long, long]


@pytest.mark.parametrize("extract", [FinalAnswer(), WholeText()])
def test_it_reads_what_the_extractor_reads(extract: object) -> None:
    texts = ["The answer is 7.", "<think>8?</think>9", "", "The answer is 7."]
    plain = read_answers(samples(*texts), reading(extract).extract)
    assert read_answers(samples(*texts), with_memory(reading(extract)).extract) == plain


def test_one_that_reads_thoughts_stays_as_it_is() -> None:
    extract = WholeText(reads_reasoning=True)
    assert with_memory(reading(extract)).extract is extract
    thought = [Sample(id="r/q/s0", text="9", reasoning="8?")]
    assert read_answers(thought, with_memory(reading(extract)).extract).answers == (
        "<think>8?</think>9",
    )


def test_one_that_fails_is_named() -> None:
    with pytest.raises(PartFailed, match="extract Counting: IndexError"):
        read_answers(samples(""), with_memory(reading(Counting())).extract)
