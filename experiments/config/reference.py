"""Writes the page of all config keys from the sections themselves: `docs/config.md`.

python -m nbest.experiments.config.reference > docs/config.md
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nbest.experiments.config.config import Config
from nbest.experiments.config.plugins import BACKENDS

HEAD = """# Config keys

Every key of a config, with its default; a dash stands for a key that must be given.
`--set KEY=VALUE` sets one on the command line, as `--set sampling.temperature=0.7`.
This page is written from the code:
`python -m nbest.experiments.config.reference > docs/config.md`.
"""
_SHOWN_BACKENDS = ("vllm", "openai", "fake")


def config_page() -> str:
    """Write the whole page, a table a section of the config."""
    lines = [HEAD]
    for table in key_tables():
        last = "type" if table.is_of_backend else "what it says"
        head = (f"| key | default | {last} |", "| --- | --- | --- |")
        what = [table.what, ""] if table.what else []
        rows = (f"| `{r.key}` | {_marked(r.default)} | {_cell(r.text)} |" for r in table.rows)
        lines += [f"## {table.title}", "", *what, *head, *rows, ""]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A key of a config, whole: `sampling.temperature`."""

    key: str
    default: str  # a dash where it must be given, `none` where it is left out
    text: str  # what it says; of a backend, its type


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTable:
    """The keys of a section."""

    title: str
    what: str
    rows: tuple[KeyRow, ...]
    is_of_backend: bool = False


def key_tables() -> Iterator[KeyTable]:
    """The keys of every section, those at the top first."""
    yield KeyTable(title="Top level", what="", rows=tuple(_rows(Config, "", nested=False)))
    for name, field in Config.model_fields.items():
        for title, section in _sections_of(name, field):
            what = _cell((section.__doc__ or "").strip().splitlines()[0])
            yield KeyTable(title=title, what=what, rows=tuple(_rows(section, name)))
    for backend in _SHOWN_BACKENDS:
        title, rows = f"`model` with `backend: {backend}`", tuple(_settings(backend))
        yield KeyTable(title=title, what="", rows=rows, is_of_backend=True)


def _sections_of(name: str, field: FieldInfo) -> Iterator[tuple[str, type[BaseModel]]]:
    sections = models_in(field.annotation)
    for section in sections:
        kind = section.model_fields.get("kind")
        is_one_of_many = len(sections) > 1 and kind is not None
        of = f" with `kind: {get_args(kind.annotation)[0]}`" if is_one_of_many and kind else ""
        yield f"`{name}`{of}", section


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections that an annotation names: one, or several of which one is chosen."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, tuple):  # a tuple is a list of sections
        return [model for part in get_args(annotation) for model in models_in(part)]
    return []


def _rows(section: type[BaseModel], prefix: str, nested: bool = True) -> Iterator[KeyRow]:
    """A row for each key; those of a section within follow it, unless they have a table."""
    for name, field in section.model_fields.items():
        key = ".".join(filter(None, (prefix, field.alias or name)))
        text = " ".join((field.description or "").split())
        yield KeyRow(key=key, default=_default(field), text=text)
        if nested:
            for inner in models_in(field.annotation):
                yield from _rows(inner, key)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "-"
    return _shown(field.get_default(call_default_factory=True))


def _shown(value: object) -> str:
    if value is None or isinstance(value, BaseModel) or value in ((), ""):
        return "none"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_item, value))}]"
    return str(value).lower() if isinstance(value, bool) else _item(value)


def _marked(default: str) -> str:
    """A default as the page shows it: code, but for words of ours."""
    return default if default in ("-", "none") else f"`{default}`"


def _item(value: object) -> str:
    """An item of a list; a text with characters that do not print, as they are escaped."""
    text = str(value)
    return text if text.isprintable() else json.dumps(text)


def _settings(backend: str) -> Iterator[KeyRow]:
    """A row for each setting of a backend: the parameters of what builds it."""
    factory = BACKENDS.factory(backend)
    of_class = fields(factory) if is_dataclass(factory) else ()
    made = {f.name: f.default_factory for f in of_class if callable(f.default_factory)}
    for name, parameter in inspect.signature(factory).parameters.items():
        is_needed = parameter.default is inspect.Parameter.empty
        value = made[name]() if name in made else parameter.default
        default = "-" if is_needed else _shown(value)
        yield KeyRow(key=f"model.{name}", default=default, text=str(parameter.annotation))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(config_page())
