"""Types that say the same as a JSON schema, where one can be written: Pydantic models, literals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, create_model

_SAYS_NOTHING = frozenset(("$schema", "$comment", "title", "description", "default", "examples"))
_BOUNDS = {
    "string": {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern"},
    "array": {"minItems": "min_length", "maxItems": "max_length"},
    "object": {"minProperties": "min_length", "maxProperties": "max_length"},
    "number": {
        "minimum": "ge",
        "maximum": "le",
        "exclusiveMinimum": "gt",
        "exclusiveMaximum": "lt",
        "multipleOf": "multiple_of",
    },
}
_KEYWORDS: Mapping[str, tuple[str, ...]] = {
    "object": ("properties", "required", "additionalProperties", *_BOUNDS["object"]),
    "array": ("items", *_BOUNDS["array"]),
    "string": tuple(_BOUNDS["string"]),
    "number": tuple(_BOUNDS["number"]),
    "boolean": (),
    "null": (),
}
_PLAIN: Mapping[str, Any] = {
    "string": str,
    "boolean": bool,
    "null": None,
    "integer": int,
    "number": int | float,
}


class NotWritten(Exception):
    """Says that no type says the same as a schema."""


def written(schema: object) -> Any:
    """The type of a schema; NotWritten where a keyword has no counterpart among types."""
    if schema is True:
        return Any
    if not isinstance(schema, Mapping):
        raise NotWritten(schema)
    said = {key: value for key, value in schema.items() if key not in _SAYS_NOTHING}
    if not said:
        return Any
    if set(said) == {"anyOf"}:
        return _either([written(one) for one in said["anyOf"]])
    if set(said) in ({"enum"}, {"const"}):
        return _literal(said.get("enum", [said.get("const")]))
    kinds = said.pop("type", tuple(_KEYWORDS))
    return _either(
        [_of_kind(kind, said) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    )


def _of_kind(kind: str, said: Mapping[str, Any]) -> Any:
    """The type of values of one kind: keywords for others say nothing of it."""
    if not set(said) <= {key for keys in _KEYWORDS.values() for key in keys}:
        raise NotWritten(said)
    group = "number" if kind == "integer" else kind
    own = {key: value for key, value in said.items() if key in _KEYWORDS[group]}
    if kind == "object":
        return _model(own)
    of_items: Any = written(own.pop("items", True)) if kind == "array" else None
    known = _BOUNDS.get(group, {})
    bounds: dict[str, Any] = {known[key]: value for key, value in own.items()}
    plain = list[of_items] if kind == "array" else _PLAIN[kind]
    return Annotated[plain, Field(**bounds)] if bounds else plain


def _either(types: list[Any]) -> Any:
    if Any in types:
        raise NotWritten(types)
    return reduce(or_, types)


def _literal(values: list[Any]) -> Any:
    """Literals; an equal number of another kind, as 1 and 1.0, cannot be told apart by them."""
    if not values or not all(isinstance(value, str | None) for value in values):
        raise NotWritten(values)
    return Literal[tuple(values)]


def _model(said: dict[str, Any]) -> Any:
    """A model: a key that is not required has a default, and its value a type all the same."""
    properties, required = said.get("properties", {}), said.get("required", [])
    others = said.get("additionalProperties", True)
    bounds = {_BOUNDS["object"][key]: said[key] for key in said if key in _BOUNDS["object"]}
    if not properties and not required and others is not False:
        of_values: Any = written(others)
        plain = dict[str, of_values]
        return Annotated[plain, Field(**bounds)] if bounds else plain
    if bounds or not isinstance(others, bool):
        raise NotWritten(said)
    types = {key: properties.get(key, True) for key in dict.fromkeys((*properties, *required))}
    fields: dict[str, Any] = {}
    for place, (key, schema) in enumerate(types.items()):
        default = ... if key in required else None
        fields[f"field_{place}"] = (written(schema), Field(default, alias=key))
    config = ConfigDict(extra="allow" if others else "forbid")
    return create_model("Written", __config__=config, **fields)
