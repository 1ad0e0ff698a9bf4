"""What one text of a model is worth, as plain data: for child processes, whose replies are JSON."""

from __future__ import annotations

from typing import TypedDict

from nbest.scorers.structured.extract import Repair
from nbest.scorers.structured.reading import Language, read_json
from nbest.scorers.structured.reasons import reasons_of_json, reasons_of_value
from nbest.scorers.structured.yaml_reading import read_yaml


class Verdict(TypedDict):
    """A value that was read, or why there is none."""

    layer: str  # empty: no value was read
    value: str  # compact JSON
    reasons: list[str]


def verdict_on(
    text: str, schema: str | None, language: Language, repair: Repair = "lossless"
) -> Verdict:
    """Read one text, as an extractor with this `repair` does; it is called in a child process."""
    read = read_json if language == "json" else read_yaml
    reading = read(text, schema=schema)
    if reading is not None and repair == "none" and reading.layer == "repaired":
        return Verdict(layer="", value="", reasons=["must be readable without repair"])
    if reading is not None:
        return Verdict(layer=reading.layer, value=reading.text, reasons=[])
    bare = None if schema is None else read(text)
    if bare is not None and schema is not None:
        reasons = reasons_of_value(bare.value, schema)
    elif language == "json":
        reasons = reasons_of_json(text, None)
    else:
        reasons = ("must be YAML",)
    return Verdict(layer="", value="", reasons=list(reasons))
