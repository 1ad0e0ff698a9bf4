"""Reasons why a text is not what it should be: for a model that corrects it, and for people.

Each is one line, `path: rule, got value`, of 80 characters at most; five at most are told. The
words are our own: what a library says of an error may hold a text of a model at any length.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nbest.scorers.structured.json_schema import has_schema, schema_validator
from nbest.scorers.structured.strict import Json, parsed_json

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

MAX_REASONS = 5
MAX_CHARACTERS = 80
_GOT_CHARACTERS = 30
_MOST_ERRORS = 200  # that are looked at, to choose the first five by their path

_TYPES = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def reasons_of_json(text: str, schema: str | None) -> tuple[str, ...]:
    """Say why a text is no JSON that satisfies the schema; () where it is. It raises on no text.

    A pattern in the schema can take for ever: call it in a child process.
    """
    try:
        value = parsed_json(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        return (line_of(where, "must be JSON from here on", text[error.pos :]),)
    except ValueError as error:
        return (line_of("", str(error)),)
    except RecursionError:
        return (line_of("", "must not be nested so deeply"),)
    return () if schema is None else reasons_of_value(value, schema)


def reasons_of_value(value: Json, schema: str) -> tuple[str, ...]:
    """Say why a value does not satisfy a schema, by path; () where it does."""
    if has_schema(value, schema):
        return ()
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        if has_schema(inner, schema):
            return (line_of("", f"all keys lie under {_short(key)}, and should lie outside"),)
    try:
        errors = schema_validator(schema).iter_errors(value)
        first = [error for error, _ in zip(errors, range(_MOST_ERRORS), strict=False)]
    except (RecursionError, ArithmeticError):
        return (line_of("", "must not be nested so deeply, nor hold such numbers"),)
    lines = [line for error in sorted(first, key=_place) for line in _lines(error)]
    return tuple(dict.fromkeys(lines))[:MAX_REASONS]


def line_of(path: str, rule: str, *got: object) -> str:
    """One reason, cut to its length; `got` is the value that breaks the rule, if it is shown."""
    value = f", got {_short(got[0])}" if got else ""
    whole = f"{path}: {rule}{value}".removeprefix(": ")
    line = " ".join(whole.encode("utf-8", "replace").decode("utf-8").split())
    return line if len(line) <= MAX_CHARACTERS else f"{line[: MAX_CHARACTERS - 3]}..."


def _short(value: object) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # of a user's validator, any object
        return "a value"
    return text if len(text) <= _GOT_CHARACTERS else f"{text[: _GOT_CHARACTERS - 3]}..."


def _place(error: ValidationError) -> tuple[list[str], str]:
    return [str(part) for part in error.absolute_path], str(error.validator)


def _lines(error: ValidationError) -> Iterator[str]:
    """The reasons in one error; of alternatives, those of the only one that is no null."""
    path = "/" + "/".join(str(part) for part in error.absolute_path)
    if error.validator in ("anyOf", "oneOf") and error.context:
        branches: Any = error.validator_value
        others = [at for at, branch in enumerate(branches) if branch != {"type": "null"}]
        if len(others) == 1:
            for inner in sorted(error.context, key=_place):
                if inner.schema_path[0] == others[0]:
                    yield from _lines(inner)
            return
    yield line_of(path, _rule(error), *(() if error.validator in _OF_KEYS else (error.instance,)))


_OF_KEYS = ("required", "additionalProperties", "dependentRequired", "unevaluatedProperties")


def _rule(error: ValidationError) -> str:
    name, wanted = str(error.validator), error.validator_value
    rule = _RULES.get(name)
    return f"must keep the rule {name}" if rule is None else rule(wanted, error.instance)


def _type(wanted: Any, instance: Any) -> str:
    names = wanted if isinstance(wanted, list) else [wanted]
    return "must be " + " or ".join(_TYPES.get(str(name), str(name)) for name in names)


def _missing(wanted: Any, instance: Any) -> str:
    missing = [str(key) for key in wanted if key not in instance]
    return f"must have the key{'s' if len(missing) > 1 else ''} {', '.join(missing)}"


def _others(wanted: Any, instance: Any) -> str:
    return "must have no other keys than those of the schema"


_RULES: Mapping[str, Callable[[Any, Any], str]] = {
    "type": _type,
    "required": _missing,
    "additionalProperties": _others,
    "unevaluatedProperties": _others,
    "enum": lambda wanted, _: "must be one of " + ", ".join(map(_short, wanted)),
    "const": lambda wanted, _: f"must be {_short(wanted)}",
    "minimum": lambda wanted, _: f"must be at least {wanted}",
    "maximum": lambda wanted, _: f"must be at most {wanted}",
    "exclusiveMinimum": lambda wanted, _: f"must be above {wanted}",
    "exclusiveMaximum": lambda wanted, _: f"must be below {wanted}",
    "multipleOf": lambda wanted, _: f"must be a multiple of {wanted}",
    "minLength": lambda wanted, _: f"must have at least {wanted} characters",
    "maxLength": lambda wanted, _: f"must have at most {wanted} characters",
    "pattern": lambda wanted, _: f"must match {_short(wanted)}",
    "minItems": lambda wanted, _: f"must have at least {wanted} items",
    "maxItems": lambda wanted, _: f"must have at most {wanted} items",
    "uniqueItems": lambda wanted, _: "must not hold the same twice",
    "anyOf": lambda wanted, _: f"must fit one of {len(wanted)} alternatives",
    "oneOf": lambda wanted, _: f"must fit exactly one of {len(wanted)} alternatives",
    "not": lambda wanted, _: "must not be what is forbidden there",
}
