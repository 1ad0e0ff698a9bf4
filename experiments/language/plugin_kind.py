"""One kind of plugin that a config names: how a name becomes an object with settings.

It knows no name; `plugins.py` has the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, cast, get_args, get_origin

from nbest.experiments.language.code_files import code_file_factory, is_code_file
from nbest.experiments.language.construction import Factory, construct, parameters, type_hints
from nbest.experiments.language.expressions import Expression, parse_expression
from nbest.experiments.language.text import one_line, shown, suggestion
from nbest.orchestrator.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginKind:
    """One kind of plugin: selectors, extractors, backends and so on."""

    noun: str  # in messages
    group: str  # of entry points
    methods: tuple[str, ...]  # what the object must have
    built_in: Mapping[str, str]  # name to `module:Class`
    protocols: tuple[Any, ...] = ()  # what a setting of this kind is annotated with
    parts: Callable[[], Sequence[PluginKind]] = tuple  # the kinds that its settings may name
    plain: str = ""  # where a text is no name: the plugin that gets it as its `model`

    def names(self) -> tuple[str, ...]:
        """Every name that `build` knows, sorted."""
        return tuple(sorted({*self.built_in, *(e.name for e in entry_points(group=self.group))}))

    def factory(self, name: str, *, trusted: bool = False) -> Factory:
        """Import the class of that name, or load that of `file.py:Class`, where it is trusted."""
        if (path := self.built_in.get(name)) is not None:
            module, _, attribute = path.partition(":")
            return cast("Factory", getattr(import_module(module), attribute))
        if is_code_file(name):
            if not trusted:
                why = "nbest runs code in a file only if you name it yourself"
                raise InputError(f"{self.noun} {name!r} is left alone: {why}")
            return code_file_factory(name, self.noun)
        entries = tuple(entry_points(group=self.group, name=name))
        if not entries:
            raise InputError(f"no {self.noun} named {name!r}{suggestion(name, self.names())}")
        if len({e.value for e in entries}) > 1:
            where = ", ".join(sorted(e.value for e in entries))
            raise InputError(f"{self.noun} {name!r} must come from one package, got {where}")
        return _load(entries[0], self.noun)

    def build(self, name: str, arguments: Mapping[str, object], *, trusted: bool = False) -> object:
        """Build the object of that name with those settings."""
        return self._construct(self.factory(name, trusted=trusted), arguments, trusted=trusted)

    def parse(self, text: str, *, trusted: bool = False) -> object:
        """Build the object that `name(key=value)` stands for; errors begin with the name."""
        if self.plain and "(" not in text and text not in self.names():
            return self.build(self.plain, {"model": text})
        return self.build_expression(parse_expression(text, trusted=trusted))

    def build_expression(self, expression: Expression) -> object:
        """Build the object that a parsed expression stands for."""
        trusted = expression.trusted
        factory = self.factory(expression.name, trusted=trusted)
        try:
            arguments = expression.named(list(parameters(factory)))
            return self._construct(factory, arguments, trusted=trusted)
        except InputError as error:
            name = expression.name
            about_itself = str(error).startswith(f"{name} must ")
            raise InputError(str(error) if about_itself else f"{name}: {error}") from error

    def _construct(
        self, factory: Factory, arguments: Mapping[str, object], *, trusted: bool
    ) -> object:
        hints = type_hints(factory)
        resolve = partial(_resolve, kinds=self.parts(), trusted=trusted)
        resolved = {key: resolve(key, v, hints.get(key)) for key, v in arguments.items()}
        plugin = construct(factory, resolved)
        for method in self.methods:
            if not hasattr(plugin, method):
                raise InputError(f"a {self.noun} must have {method}, got {type(plugin).__name__}")
        return plugin


def _resolve(
    key: str, value: object, hint: Any, kinds: Sequence[PluginKind], *, trusted: bool
) -> object:
    """Build the plugin that an argument names, where its type is a kind: `by=mean_logprob`."""
    kind = _kind_of(hint, kinds)
    if kind is None:
        is_word = isinstance(value, Expression) and not (value.arguments or value.positional)
        if isinstance(value, Expression) and is_word and _takes_text(hint):
            return value.name  # a bare word where a text is wanted: `score(name=verifier)`
        if isinstance(value, Expression):
            raise InputError(f"{key} must be a plain value, got {shown(value.text)}")
        return _with_words(key, value)
    if value is None and type(None) in get_args(hint):
        return None
    if get_origin(hint) is tuple:
        is_one = isinstance(value, Expression | str)  # one is a list of one
        names = [value] if is_one else value if isinstance(value, Sequence) else [value]
        return tuple(_build_named(key, name, kind, trusted=trusted) for name in names)
    return _build_named(key, value, kind, trusted=trusted)


def _with_words(key: str, value: object) -> object:
    """A list or a mapping with its bare words as texts: `arms=[small, large]`."""
    if isinstance(value, Expression):
        if value.arguments or value.text != value.name:
            raise InputError(f"{key} must hold plain values, got {shown(value.text)}")
        return value.name
    if isinstance(value, list):
        return [_with_words(key, item) for item in value]
    if isinstance(value, dict):
        return {name: _with_words(key, item) for name, item in value.items()}
    return value


def _takes_text(hint: Any) -> bool:
    """Whether a setting may be a text: str, one of some words, or either of these or None."""
    if hint is str:
        return True
    if get_origin(hint) is Literal:
        return any(isinstance(word, str) for word in get_args(hint))
    return any(_takes_text(part) for part in get_args(hint))


def _build_named(key: str, value: object, kind: PluginKind, *, trusted: bool) -> object:
    if not isinstance(value, Expression | str):
        raise InputError(f"{key} must name a {kind.noun}, got {shown(value)}")
    try:
        if isinstance(value, str):
            return kind.parse(value, trusted=trusted)
        return kind.build_expression(value)
    except InputError as error:
        raise InputError(f"{key}: {error}") from error


def _kind_of(hint: Any, kinds: Sequence[PluginKind]) -> PluginKind | None:
    """The kind whose protocol is the type, or is in its tuple or union."""
    types = (hint, *get_args(hint))
    return next((kind for kind in kinds if any(part in kind.protocols for part in types)), None)


def _load(entry: EntryPoint, noun: str) -> Factory:
    try:
        factory = entry.load()
    except Exception as error:  # importing a plugin runs somebody else's code
        what = f"{type(error).__name__}: {one_line(error)}"
        raise InputError(
            f"{noun} {entry.name!r} ({entry.value}) cannot be loaded: {what}"
        ) from error
    if not callable(factory):
        raise InputError(f"{noun} {entry.name!r} must be a class, got {type(factory).__name__}")
    return cast("Factory", factory)
