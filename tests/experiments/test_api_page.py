"""The page of the Python API holds every public name, and is what the code says."""

from __future__ import annotations

from pathlib import Path

import nbest
from nbest.experiments.catalogue.api import page
from nbest.experiments.language.text import first_sentence

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_page_is_what_the_code_says() -> None:
    text = "write it again: python -m nbest.experiments.catalogue.api > docs/api.md"
    assert PAGE.read_text() == page(), text


def test_every_name_is_there_and_says_what_it_is() -> None:
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| `")]
    assert sorted(row[0].strip("| `") for row in rows) == sorted(nbest.__all__)
    assert [row[0] for row in rows if len(row[1]) < 5] == ["| `Scores`"]  # a type


def test_a_sentence_does_not_end_at_an_abbreviation() -> None:
    assert first_sentence("Vote (Li et al. 2024). It is\nfast.") == "Vote (Li et al. 2024)."
    assert first_sentence("One line") == "One line"
    assert first_sentence("") == ""
