r"""`output:` of a config: structured answers, in one place.

It stands for what it sets elsewhere: the schema in the prompt and in the constraint, how answers
are read, compared, chosen, corrected and drawn again. A stored config holds these alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from nbest.experiments.config.plugins import build_scorer
from nbest.experiments.language.errors import describe
from nbest.experiments.language.section import Section
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.strategies.search.corrected import CORRECT
from nbest.scorers.structured.extract import Repair
from nbest.scorers.structured.json_schema import schema_text

Mode = Literal["prompt", "constrained", "both"]
WORDS = "Answer with one JSON value that satisfies this JSON schema, and with nothing else:"

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
        try:
            value = Path(value).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(f"schema must be a file that can be read, got {value!r}") from error
    text = schema_text(value)
    assert text is not None
    return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))


class OutputSection(Section):
    """Answers that are JSON values of a schema."""

    schema_text: Annotated[str, BeforeValidator(compact_schema)] = Field(
        alias="schema", description="The JSON schema: a file, JSON text or a mapping."
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
    words: str = Field(default=WORDS, description="What is said before the schema in the prompt.")
    correct: str = Field(default=CORRECT, min_length=1, description="As strategy.corrected.words.")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.choose not in ("vote", "by_field"):
            try:
                build_scorer(self.choose)
            except InputError as error:
                raise InputError(f"choose: {error}") from error
        return self

    @property
    def in_prompt(self) -> str:
        """What stands after the question; empty where the engine alone is told."""
        return "" if self.mode == "constrained" else f"\n\n{self.words}\n{self.schema_text}"

    @property
    def rule(self) -> str:
        """The validator, as an expression."""
        return f'json(schema={json.dumps(self.schema_text)}, of="answer")'

    def settings(self) -> dict[str, Any]:
        """What it stands for, but for the prompt, by section."""
        is_vote = self.choose in ("vote", "by_field")
        by = "plain_first(by=vote)" if is_vote else self.choose
        sampling: dict[str, Any] = {}
        if self.mode != "prompt":
            sampling["constraint"] = {"json": self.schema_text}
        return {
            "extract": f'json(repair="{self.repair}")',
            "equivalence": "json",
            "select": [by],
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
    return {"grade": "json"} | rest | settings | merged | {"prompt": prompt}


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
