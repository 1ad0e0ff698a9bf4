"""Names of models in expressions: `judge(model=large)` means the entry `large` of `models`.

An expression is parsed by itself; only its config knows which model has the name. So the name is
first kept as it is, and then bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar, cast

from nbest.experiments.language.expressions import Expression
from nbest.experiments.language.plugin_kind import PluginKind
from nbest.experiments.language.text import shown, suggestion
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Backend, BackendConfig, NamedModel
from nbest.orchestrator.query.model_calls import named_models_of

T = TypeVar("T")


class ModelNames(PluginKind):
    """The kind of a setting that names a model of the run: each name, not bound yet."""

    __slots__ = ()

    def parse(self, text: str, *, trusted: bool = False) -> object:
        """Keep a name."""
        return NamedModel(name=text, settings=Unbound(name=text))

    def build_expression(self, expression: Expression) -> object:
        """Keep a name; InputError where settings follow it."""
        if expression.arguments or expression.positional:
            rule = "name an entry of `models`, whose settings stand there"
            raise InputError(f"model must {rule}, got {shown(expression.text)}")
        return self.parse(expression.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbound:
    """The settings of a model of which nothing but the name is known yet."""

    name: str

    max_concurrency = 1
    gpus = 0

    @property
    def identity(self) -> Mapping[str, str | int | None]:
        return {"name": self.name}

    def open(self, name: str = "") -> AbstractAsyncContextManager[Backend]:
        raise _unknown(self.name, {})


def with_models(part: T, models: Mapping[str, BackendConfig]) -> T:
    """The same strategy or scorer with the models that the names in it mean.

    InputError where there is no model of a name.
    """
    return cast("T", _with_models(part, models))


def _with_models(part: object, models: Mapping[str, BackendConfig]) -> object:
    if isinstance(part, NamedModel):
        if not isinstance(part.settings, Unbound):
            return part
        if part.name not in models:
            raise _unknown(part.name, models)
        return NamedModel(name=part.name, settings=models[part.name])
    if isinstance(part, tuple) and type(part) is tuple:
        parts = tuple(_with_models(item, models) for item in part)
        return parts if any(a is not b for a, b in zip(parts, part, strict=True)) else part
    if not is_dataclass(part) or isinstance(part, type):
        return part
    changes: dict[str, Any] = {}
    for setting in fields(part):
        value = getattr(part, setting.name)
        if (other := _with_models(value, models)) is not value:
            changes[setting.name] = other
    return replace(part, **changes) if changes else part


def unbound_names(part: object) -> set[str]:
    """The names of models that are not bound yet, in a scorer and its parts."""
    models = named_models_of(part).values()
    return {model.name for model in models if isinstance(model.settings, Unbound)}


def _unknown(name: str, models: Mapping[str, BackendConfig]) -> InputError:
    hint = suggestion(name, models) if models else "; there are no models"
    return InputError(f"no model named {name!r}{hint}")
