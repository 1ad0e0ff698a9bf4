"""Types as schemas: Pydantic models, dataclasses, literals, lists of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import SchemaError
from pydantic_core.core_schema import ErrorType

from nbest.experiments.config.output import compact_schema
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Candidates, Query
from nbest.scorers.sandboxes.threads import threads_for
from nbest.scorers.structured.json_schema import satisfies
from nbest.scorers.structured.reasons import MAX_REASONS, line_of, reasons_of_json
from nbest.scorers.structured.strict import with_long_floats_as_texts
from nbest.scorers.validators.rules import CHECK_S, Flags, flags_in_children, reasons_in_child

CHECKED_BY_MODEL = ("value_error", "assertion_error")  # what a model's own validators raise


@dataclass(frozen=True, slots=True)
class ValueType:
    """A type that answers have: a schema for the model, and the values themselves.

    `of` is a Pydantic model or any type that Pydantic knows, JSON text of a schema, a mapping, or a
    file that holds one. InputError where it is none of these.
    """

    of: Any
    schema: str = field(init=False)  # compact JSON text, in its own order

    def __post_init__(self) -> None:
        schema = self.of if self.adapter is None else self._generated(self.adapter)
        if isinstance(schema, Path):
            schema = str(schema)
        object.__setattr__(self, "schema", compact_schema(schema))

    @property
    def adapter(self) -> TypeAdapter[Any] | None:
        """What makes values of the type; None of a plain schema, whose values are JSON's own."""
        if isinstance(self.of, str | Path | Mapping):
            return None
        try:
            return _adapter(_Same(self.of))
        # Pydantic's own errors, and those of its core, as of a pattern that is none: it says why.
        except (PydanticSchemaGenerationError, PydanticUserError, SchemaError, TypeError) as error:
            rule = "be a type that Pydantic knows, a schema, or a file with one"
            why = str(error).partition("\n")[0]
            raise InputError(f"output must {rule}, got {self.of!r} ({why})") from error

    def value(self, text: str) -> Any:
        """The value that a valid answer says; ValueError where it says none.

        JSON has no dates, tuples and the like: these are made of their texts, and nothing else is
        converted ("12" is no 12).
        """
        adapter = self.adapter
        if adapter is None:
            return json.loads(text)
        value = adapter.validate_json(text, strict=True)
        # Pydantic reads numbers as floats first, so a Decimal gets its digits as a text.
        if (spelled := with_long_floats_as_texts(text)) is not None:
            with suppress(ValidationError):  # of a float, which may be no text
                exact = adapter.validate_json(spelled, strict=True)
                if _same_types(adapter.dump_python(exact), adapter.dump_python(value)):
                    return exact
        return value

    def _generated(self, adapter: TypeAdapter[Any]) -> dict[str, Any]:
        try:
            return adapter.json_schema()
        except PydanticUserError as error:
            raise InputError(f"output must have a JSON schema, got {self.of!r}") from error


def _same_types(one: Any, other: Any) -> bool:
    """Whether two values differ in nothing but plain values of the same types."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same_types(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same_types, one, other))
    return True


class _Same:
    """A type as a key: the same object alone is equal, for `A | B` and `B | A` are equal, too."""

    def __init__(self, of: Any) -> None:
        self.of = of

    def __hash__(self) -> int:
        return id(self.of)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.of is other.of


@lru_cache(maxsize=64)
def _adapter(kind: _Same) -> TypeAdapter[Any]:
    """What makes values of a type; it takes a millisecond to make, and is wanted for each text."""
    return TypeAdapter(kind.of)


@dataclass(frozen=True, slots=True)
class IsValue:
    """A validator: the answer satisfies the schema of a type, and the type's own validators.

    A type's validators are the user's code: they are called in this process.
    """

    type: ValueType

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        flags = await flags_in_children(candidates, "answer", CHECK_S, satisfies, self.type.schema)
        texts = {text for ok, text in zip(flags, candidates.answers, strict=True) if ok and text}
        faults = await threads_for("users").call(self._faults_of, texts)
        return np.array([text in texts and not faults[text] for text in candidates.answers])

    async def why(self, query: Query, text: str) -> tuple[str, ...]:
        """Say why a text is no value of the type, in five lines at most; () where it is."""
        found = await reasons_in_child(CHECK_S, reasons_of_json, text, self.type.schema)
        return found or (await threads_for("users").call(self._faults_of, {text}))[text]

    def _faults_of(self, texts: set[str]) -> dict[str, tuple[str, ...]]:
        return {text: self._faults(text) for text in texts}

    def _faults(self, text: str) -> tuple[str, ...]:
        """What the type itself finds wrong with a text that satisfies its schema."""
        try:
            self.type.value(text)
        except ValidationError as error:
            return tuple(map(_line, error.errors(include_url=False)[:MAX_REASONS]))
        # A validator of the user's own met what it had not thought of.
        except Exception:  # noqa: BLE001
            return (line_of("", "cannot be read"),)
        return ()


def _line(error: Any) -> str:
    """One reason: in the words of the user's validator, or by the kind of the error."""
    path = "/" + "/".join(map(str, error["loc"]))
    if error["type"] in CHECKED_BY_MODEL:
        return line_of(path, str(error["ctx"]["error"]), error["input"])
    if error["type"] not in get_args(ErrorType):  # a PydanticCustomError: the words are the user's
        return line_of(path, str(error["msg"]), error["input"])
    kind = str(error["type"]).replace("_", " ")
    return line_of(path, f"must be a value of its type ({kind})", error["input"])
