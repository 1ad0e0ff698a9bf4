r"""`output:` of a config: structured answers, in one place.

It stands for what it sets elsewhere: the schema in the prompt and in the constraint, how answers
are read, compared, chosen, corrected and drawn again. A stored config holds these alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from nbest.experiments.config.plugins import build_scorer, build_validator
from nbest.experiments.language.errors import describe
from nbest.experiments.language.section import Section
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.strategies.search.corrected import CORRECT
from nbest.scorers.structured.extract import Repair
from nbest.scorers.structured.json_schema import schema_text

Mode = Literal["prompt", "constrained", "both"]
OutputLanguage = Literal["json", "yaml", "sql"]
WORDS = "Answer with one JSON value that satisfies this JSON schema, and with nothing else:"
YAML_WORDS = "Answer with one YAML document that satisfies this JSON schema, and with nothing else:"
SQL_WORDS = "Answer with one SQL query for these tables, and with nothing else:"
WORDS_OF: Mapping[OutputLanguage, str] = {"json": WORDS, "yaml": YAML_WORDS, "sql": SQL_WORDS}

_STANDS_FOR = {
    "": ("extract", "equivalence", "select", "arms"),
    "sampling": ("constraint",),
    "strategy": ("corrected", "race", "search", "revise", "synthesis", "rule"),
}


def compact_schema(value: object) -> str:
    """A schema as compact JSON text in its own order: from a file, JSON text or a mapping.

    InputError where it is no sound schema.
    """
    if value is None:
        raise InputError("schema must be given, got nothing")
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        value = _text_of_file(value)
    text = schema_text(value)
    assert text is not None
    return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))


def tables_of(value: object) -> str:
    """SQL statements that make tables, as they are: from a file, or a text with a semicolon in it.

    InputError where they are no text, or make no tables.
    """
    if not isinstance(value, str):
        raise InputError(f"schema must be SQL statements or a file with them, got {value!r}")
    text = value if ";" in value or value.lstrip().lower().startswith("create") else None
    statements = (_text_of_file(value) if text is None else text).strip()
    build_validator(_call("sql", schema=statements))  # which makes the tables
    return statements


def _text_of_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"schema must be a file that can be read, got {path!r}") from error


def _call(name: str, **arguments: str) -> str:
    """An expression: `_call("json", of="answer")` is `json(of="answer")`."""
    said = ", ".join(f"{key}={json.dumps(value)}" for key, value in arguments.items())
    return f"{name}({said})"


class OutputSection(Section):
    """Answers that are values of a schema."""

    language: OutputLanguage = Field(
        default="json",
        description="What is written: json or yaml, a value of a JSON schema; or sql, one query "
        "that is compared by its result.",
    )
    schema_text: str = Field(
        alias="schema",
        description="The JSON schema: a file, JSON text or a mapping. Of sql: statements that make "
        "and fill the tables, or a file with them.",
    )
    mode: Mode = Field(
        default="prompt",
        description="prompt: the schema stands in the prompt. constrained: the engine allows "
        "nothing else. both: it stands in the prompt, and every second answer is constrained.",
    )
    repair: Repair = Field(
        default="lossless", description="Mend broken JSON where that loses nothing, or never."
    )
    corrections: int = Field(default=1, ge=0, description="As strategy.corrected.corrections.")
    retries: int = Field(default=2, ge=0, description="As strategy.corrected.retries.")
    choose: str = Field(
        default="vote",
        description="Which of the valid answers: vote, by_field, or any selector, as first.",
    )
    words: str | None = Field(
        default=None,
        description="What is said before the schema in the prompt; by default a sentence that asks "
        "for the language.",
    )
    correct: str = Field(default=CORRECT, min_length=1, description="As strategy.corrected.words.")

    @field_validator("schema_text", mode="before", json_schema_input_type=str | dict[str, Any])
    @classmethod
    def _is_sound(cls, value: object, info: ValidationInfo) -> str:
        return tables_of(value) if info.data.get("language") == "sql" else compact_schema(value)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.language != "json" and self.mode != "prompt":
            raise InputError(f"mode must be prompt with {self.language}, got {self.mode!r}")
        if self.language == "sql" and self.choose == "by_field":
            raise InputError("choose must be vote or a selector with sql, got 'by_field'")
        if self.choose not in ("vote", "by_field"):
            try:
                build_scorer(self.choose)
            except InputError as error:
                raise InputError(f"choose: {error}") from error
        return self

    @property
    def in_prompt(self) -> str:
        """What stands after the question; empty where the engine alone is told."""
        if self.mode == "constrained":
            return ""
        words = WORDS_OF[self.language] if self.words is None else self.words
        return f"\n\n{words}\n{self.schema_text}"

    @property
    def rule(self) -> str:
        """The validator, as an expression."""
        return _call(self.language, schema=self.schema_text, of="answer")

    def reading(self) -> dict[str, Any]:
        """How answers are read, compared and voted on."""
        if self.language == "sql":
            return {
                "extract": _call("code_block", language="sql"),
                "equivalence": _call("sql_result", schema=self.schema_text),
                "select": ["vote"],
            }
        if self.language == "yaml":
            return {
                "extract": _call("yaml", schema=self.schema_text, repair=self.repair),
                "equivalence": "json",
                "select": ["plain_first(by=vote, language=yaml)"],
            }
        return {
            "extract": _call("json", repair=self.repair, **self._outer_type()),
            "equivalence": "json",
            "select": ["plain_first(by=vote)"],
        }

    def _outer_type(self) -> dict[str, str]:
        """The outer type of the schema as one of its own, where it has one."""
        kind = json.loads(self.schema_text).get("type")
        return {} if kind is None else {"schema": json.dumps({"type": kind})}

    def settings(self) -> dict[str, Any]:
        """What it stands for, but for the prompt, by section."""
        reading = self.reading()
        if self.choose not in ("vote", "by_field"):
            reading["select"] = [self.choose]
        sampling: dict[str, Any] = {}
        if self.mode != "prompt":
            sampling["constraint"] = {"json": self.schema_text}
        return {
            **reading,
            "sampling": sampling,
            "strategy": {
                "corrected": {
                    "rule": self.rule,
                    "corrections": self.corrections,
                    "retries": self.retries,
                    "by_field": self.choose == "by_field",
                    "half_free": self.mode == "both",
                    "words": self.correct,
                }
            },
        }


def with_output(data: object) -> object:
    """A raw config with what `output` stands for in its place; InputError where both are there."""
    if not isinstance(data, dict) or data.get("output") is None:
        return data
    try:
        section = OutputSection.model_validate(data["output"])
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        detail["loc"] = ("output", *detail["loc"])
        raise InputError(describe(detail, data)[1]) from error
    rest: dict[str, Any] = {k: v for k, v in data.items() if k != "output" and v is not None}
    if any(not isinstance(rest.get(key, {}), dict) for key in ("prompt", "sampling", "strategy")):
        return rest  # the section itself says what is wrong
    _require_free(rest)
    settings = section.settings()
    prompt = dict(rest.get("prompt") or {})
    template = str(prompt.get("template") or "{question}")
    prompt["template"] = template + _literal(section.in_prompt, prompt.get("syntax") == "jinja")
    merged = {
        key: {**(rest.get(key) or {}), **settings.pop(key)} for key in ("sampling", "strategy")
    }
    return {"grade": settings["equivalence"]} | rest | settings | merged | {"prompt": prompt}


def _literal(text: str, is_jinja: bool) -> str:
    """A text as a template says it."""
    if not text:
        return ""
    if is_jinja:  # in JSON, a brace may be written by its number
        plain = text.replace("{%", "\\u007b%")
        return f"{{% raw %}}{plain}{{% endraw %}}"
    return text.replace("{", "{{").replace("}", "}}")


def _require_free(rest: Mapping[str, Any]) -> None:
    for section, keys in _STANDS_FOR.items():
        known = rest if not section else rest.get(section)
        for key in keys:
            if isinstance(known, Mapping) and known.get(key) is not None:
                name = f"{section}.{key}" if section else key
                raise InputError(f"{name} must be left out with output, got {known[key]!r}")
