"""Makes an object from a class and named settings, or says in one line which of them is wrong.

A misspelt setting is refused, never dropped, and its type is checked: dataclasses do neither.

It knows no plugin by name.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any, get_type_hints

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError

from nbest.experiments.language.errors import RULES
from nbest.experiments.language.text import one_line, shown, suggestion
from nbest.orchestrator.errors import InputError

Factory = Callable[..., object]  # a class, or a function that makes an object


def construct(factory: Factory, arguments: Mapping[str, object]) -> object:
    """Call `factory(**arguments)`; InputError says `KEY must RULE, got VALUE` or `KEY: WHAT`."""
    settings = parameters(factory)
    for key in arguments:
        if key not in settings:
            raise InputError(f"{key}: no such key{suggestion(key, settings)}")
    for key, parameter in settings.items():
        if key not in arguments and parameter.default is parameter.empty:
            raise InputError(f"{key} must be given, got nothing")
    checked = checked_arguments(factory, arguments)
    try:
        return factory(**checked)
    except InputError:
        raise
    except Exception as error:  # a plugin is somebody else's code: it may raise anything at all
        raise InputError(f"failed to start: {type(error).__name__}: {one_line(error)}") from error


def parameters(factory: Factory) -> dict[str, inspect.Parameter]:
    """The parameters of a factory that can be passed by name."""
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    signature = inspect.signature(factory)
    return {name: p for name, p in signature.parameters.items() if p.kind in by_name}


def checked_arguments(factory: Factory, arguments: Mapping[str, object]) -> dict[str, object]:
    """Check the arguments against the type hints; a list becomes a tuple where the hint is one."""
    hints = type_hints(factory)
    return {k: _check_type(k, v, hints[k]) if k in hints else v for k, v in arguments.items()}


def type_hints(factory: Factory) -> dict[str, Any]:
    """The type of each parameter; empty where a hint names what only the type checker imports."""
    try:
        if is_dataclass(factory):  # each field in the module that declares it, inherited ones too
            return get_type_hints(factory)
        return get_type_hints(factory.__init__ if isinstance(factory, type) else factory)  # type: ignore[misc] # of this very class
    except (NameError, TypeError):
        return {}


def _check_type(key: str, value: object, hint: Any) -> object:
    try:
        adapter: TypeAdapter[object] = TypeAdapter(hint)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return value  # a type that pydantic cannot check
    try:
        # By way of JSON, where strict means: no number for a text, but a list for a tuple.
        return adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        rule = RULES.get(detail["type"], "be what its type says: " + detail["msg"])
        raise InputError(
            f"{key} must {rule.format(**detail.get('ctx', {}))}, got {shown(value)}"
        ) from error
