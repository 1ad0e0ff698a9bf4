"""Answers that are values: JSON or YAML that a text holds, as compact JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nbest.scorers.structured.reading import Reading, kinds_of, read_value
from nbest.scorers.structured.strict import parsed_json
from nbest.scorers.structured.yaml_reading import typed_yaml

Repair = Literal["lossless", "none"]

MAX_CHARACTERS = 50_000  # of a text that is looked through and mended; longer ones must be plain


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonValue:
    """The JSON value in a text, as compact JSON with its keys in their order; None where none is.

    It may stand in other text, and be repaired where that loses nothing (`read_json`); with
    `repair="none"` it may not. So a vote counts values, if `equivalence` is `json`. Of a `schema`,
    JSON text, only the outer type counts: whether a value satisfies it says the validator `json`,
    with `of="answer"`.

    Example: `JsonValue()(" The answer: {'a': 1,}")` is `{"a":1}`
    """

    repair: Repair = "lossless"
    schema: str | None = None

    def __call__(self, text: str) -> str | None:
        if len(text) <= MAX_CHARACTERS:
            return told(read_value(text, kinds_of(self.schema)), self.repair)
        try:
            return Reading(value=parsed_json(text), layer="plain").text
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlValue:
    """The YAML document in a text, as compact JSON; None where none is (`read_yaml`).

    Scalars have the types that `schema`, JSON text, gives them; whether the document satisfies it
    says the validator `yaml`, with `of="answer"`.
    """

    schema: str | None = None
    repair: Repair = "lossless"

    def __call__(self, text: str) -> str | None:
        is_short = len(text) <= MAX_CHARACTERS // 2  # PyYAML reads slowly
        return told(typed_yaml(text, self.schema) if is_short else None, self.repair)


def told(reading: Reading | None, repair: Repair) -> str | None:
    """The value that was read as text; None where it would have had to be repaired."""
    if reading is None or (repair == "none" and reading.layer == "repaired"):
        return None
    return reading.text
