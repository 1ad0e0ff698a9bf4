"""YAML, without the parts that are unsafe or ambiguous."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbest.orchestrator.types import Candidates, Query
from nbest.scorers.structured.json_schema import has_schema, schema_text
from nbest.scorers.structured.reasons import line_of, reasons_of_value
from nbest.scorers.structured.yaml_text import parsed_yaml
from nbest.scorers.validators.rules import Flags, Of, flags_in_children, reasons_in_child

YAML_S = 20.0  # for one text: PyYAML reads some 50,000 characters a second


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlValid:
    """The text is one YAML document, and satisfies a JSON schema where one is given.

    An empty text is none, and so is a plain text without a schema that wants one: every sentence
    would be YAML. A scalar is read by the type that the schema gives it: `zip: 01234` and
    `country: NO` are texts where texts are wanted. Tags that make objects, aliases (a short text
    could stand for a huge one), keys that come twice and texts beyond a million characters are
    refused. Dates are kept as text, as JSON has them.
    """

    schema: str | Any | None = None  # kept as JSON text
    of: Of = "text"

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", schema_text(self.schema))

    async def why(self, query: Query, text: str) -> tuple[str, ...]:
        """Say why a text is not valid, in five lines at most; () where it is."""
        return await reasons_in_child(YAML_S, reasons_of_yaml, text, self.schema)

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        return await flags_in_children(candidates, self.of, YAML_S, is_yaml, self.schema)


def reasons_of_yaml(text: str, schema: str | None) -> tuple[str, ...]:
    """Why a text is no careful YAML that the schema accepts; () where it is."""
    try:
        value = parsed_yaml(text, schema)
    except ValueError as error:
        return (line_of("", str(error)),)
    if schema is not None:
        return reasons_of_value(value, schema)
    return () if isinstance(value, dict | list) else (line_of("", "must be keys or a list", text),)


def is_yaml(text: str, schema: str | None) -> bool:
    """Whether a text is careful YAML that the schema accepts; it is called in a child process."""
    try:
        value = parsed_yaml(text, schema)
    except ValueError:
        return False
    return isinstance(value, dict | list) if schema is None else has_schema(value, schema)
