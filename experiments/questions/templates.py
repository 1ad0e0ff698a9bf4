"""Templates of prompts: text with names in braces, or Jinja's.

A template reads the columns of a data set, and nothing else. It knows no prompt and no model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from string import Formatter
from typing import TYPE_CHECKING, Literal

from nbest.experiments.language.text import one_line, shown
from nbest.experiments.questions.items import JsonText
from nbest.orchestrator.errors import InputError

if TYPE_CHECKING:
    from jinja2 import Template

Syntax = Literal["braces", "jinja"]
BRACES = "write {{ and }} for braces that are text"


def names_in(template: str, syntax: Syntax, key: str) -> tuple[str, ...]:
    """The columns that a template names; InputError, by `key`, where it is no template."""
    return _jinja_names(template, key) if syntax == "jinja" else _placeholders(template, key)


def filled(template: str, syntax: Syntax, fields: Mapping[str, str]) -> str:
    """Put values into a template, once: braces in a value stay as they are."""
    if syntax == "jinja":
        return _jinja_filled(template, fields)
    parts = Formatter().parse(template)
    return "".join(text + (fields[name] if name is not None else "") for text, name, _, _ in parts)


def _placeholders(template: str, key: str) -> tuple[str, ...]:
    """The names in braces; InputError where braces hold anything but a plain name."""
    try:
        parts = tuple(Formatter().parse(template))
    except ValueError as error:
        rule = f"have a name between {{ and }} ({BRACES})"
        raise InputError(f"{key} must {rule}, got {shown(template)}") from error
    names = []
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if spec or conversion or not name.strip() or any(c in name for c in ".[]"):
            rule = f"hold only plain names in braces, as {{question}} ({BRACES})"
            whole = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise InputError(f"{key} must {rule}, got {shown('{' + whole + '}')}")
        names.append(name)
    return tuple(names)


def _jinja_names(template: str, key: str) -> tuple[str, ...]:
    from jinja2 import TemplateSyntaxError, meta
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    try:
        tree = ImmutableSandboxedEnvironment().parse(template)
        return tuple(sorted(meta.find_undeclared_variables(tree)))
    except TemplateSyntaxError as error:
        what = f"{one_line(error)}, line {error.lineno}"
        raise InputError(f"{key} must be a template of Jinja ({what})") from error


def _jinja_filled(template: str, fields: Mapping[str, str]) -> str:
    from jinja2 import TemplateError

    values = {name: _value(text) for name, text in fields.items()}
    try:
        return _compiled(template).render(values)
    # What a template does with a value is the user's: `{{ choices + 1 }}` is a TypeError.
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise InputError(f"template cannot be filled: {one_line(error)}") from error


@lru_cache(maxsize=8)
def _compiled(template: str) -> Template:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(template)


def _value(text: str) -> object:
    return json.loads(text) if isinstance(text, JsonText) else text
