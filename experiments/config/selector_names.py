"""The setting `select`: expressions, each under its own text or a name that the user gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field

from nbest.experiments.config.objects import builds
from nbest.experiments.config.plugins import SELECTORS, build_scorer
from nbest.experiments.language.expressions import parse_expression, split_expressions
from nbest.orchestrator.errors import InputError


def _as_list(value: object) -> object:
    """Expressions as a list, from a text, a list, or a mapping of names to expressions."""
    if isinstance(value, str):
        return split_expressions(value)
    if isinstance(value, Mapping):
        return tuple(f"{name}={text}" for name, text in value.items())
    return value


Selectors = Annotated[
    tuple[Annotated[str, builds(build_scorer)], ...],
    Field(strict=False),
    BeforeValidator(_as_list, json_schema_input_type=str | list[str] | dict[str, str]),
]


def check_names(texts: Sequence[str]) -> None:
    """Raise InputError without selectors, where two have one name, or one has another's name."""
    if not texts:
        raise InputError("select must hold at least 1, got []")
    names: set[str] = set()
    for text in texts:
        expression = parse_expression(text)
        if expression.shown in names:
            raise InputError(
                f"select must name every selector once, got {expression.shown!r} twice"
            )
        names.add(expression.shown)
        if is_taken(text):
            rule = f"be no selector's own name where it stands for {expression.name}"
            raise InputError(f"select: a name must {rule}, got {expression.label!r}")


def shown_name(text: str) -> str:
    """How tables name a selector: by its label, unless that is the name of another one."""
    return text if is_taken(text) else parse_expression(text).shown


def is_taken(text: str) -> bool:
    """Whether the name that an expression is given is that of another selector."""
    expression = parse_expression(text)
    return expression.label in SELECTORS.names() and expression.label != expression.name
