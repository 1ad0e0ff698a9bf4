"""JSON schemas: checked once, then used to validate texts.

Draft 2020-12, or the draft that the schema's "$schema" names. Nothing is ever fetched: a schema
must hold all that it refers to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from nbest.orchestrator.errors import InputError
from nbest.scorers.structured.strict import Json, parsed_json

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_VALUES = ("const", "enum", "default", "examples")  # they hold values and no schemas
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def warm_up() -> None:
    """Import what validators need: it takes longer than a text should."""
    schema_validator("{}")


def is_json(text: str) -> bool:
    """Whether `text` is JSON. It raises on no text."""
    try:
        parsed_json(text)
    except (ValueError, RecursionError):
        return False
    return True


def satisfies(text: str, schema: str) -> bool:
    """Whether `text` is JSON that the schema, itself JSON text, accepts. It raises on no text.

    A pattern in the schema can take for ever: call it in a child process.
    """
    try:
        return has_schema(parsed_json(text), schema)
    except (ValueError, RecursionError):  # no JSON; nested too deeply
        return False


def has_schema(value: Json, schema: str) -> bool:
    """Whether a value satisfies a schema, itself JSON text. It raises on no value."""
    try:
        return schema_validator(schema).is_valid(value)
    # Nested too deeply; a number so large that comparing it with the schema overflows.
    except (RecursionError, ArithmeticError):
        return False


def schema_text(schema: object) -> str | None:
    """A schema as JSON text: from text, a mapping, or a Pydantic class; None stays None.

    InputError where it is none of these, or no sound schema.
    """
    if schema is None:
        return None
    if hasattr(schema, "model_json_schema"):
        schema = schema.model_json_schema()
    text = schema if isinstance(schema, str) else None
    if isinstance(schema, Mapping):
        try:
            text = json.dumps(schema)
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"schema must hold JSON alone ({error}), got {schema!r}") from error
    if text is None:
        rule = "be JSON text, a mapping or a Pydantic class"
        raise InputError(f"schema must {rule}, got {schema!r}")
    schema_validator(text)
    return text


@lru_cache(maxsize=16)
def schema_validator(text: str) -> Validator:
    """The validator of a schema, given as JSON text; InputError where it is no sound schema."""
    # Imported here: these take longer than all of the scorers together.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import EMPTY_REGISTRY, UnknownDialect, specification_with

    schema = _schema(text)
    try:
        draft = specification_with(str(schema.get("$schema", _DRAFT)))
        validator_class = validator_for(schema, default=Draft202012Validator)
        validator_class.check_schema(schema)
        resolver = EMPTY_REGISTRY.resolver_with_root(draft.create_resource(schema))
        for reference in _references(schema):
            resolver.lookup(reference)
    except SchemaError as error:
        raise _refusal(f"be a schema ({error.message})", text) from error
    except UnknownDialect as error:
        raise _refusal(f"name a known $schema, not {error.uri!r}", text) from error
    except Unresolvable as error:
        raise _refusal(f"hold all that it refers to, and {reference!r} is missing", text) from error
    # With a registry, the validator looks nowhere else for a schema.
    return validator_class(schema, registry=EMPTY_REGISTRY)


def _refusal(rule: str, text: str) -> InputError:
    return InputError(f"json_schema must {rule}, got {text!r}")


def _schema(text: str) -> dict[str, object]:
    try:
        schema: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refusal(f"be JSON text ({error})", text) from error
    if not isinstance(schema, dict):
        raise _refusal("be a JSON object", text)
    return schema


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, list):
        schema = dict(enumerate(schema))
    for key, value in schema.items() if isinstance(schema, dict) else ():
        if key in ("$ref", "$dynamicRef") and isinstance(value, str):
            yield value
        if key not in _VALUES:
            yield from _references(value)
