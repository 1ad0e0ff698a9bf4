"""The config that a run holds, written as a file that makes the same run again.

Nothing that it names is built or read: a stored run may be somebody else's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_jsonable_python

from nbest.experiments.config.config import Config
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.store.format.manifest import Json
from nbest.orchestrator.store.reader import RunReader

KINDS = ("kind", "backend")  # keys that say which section it is, needed though defaults


class PlainDumper(yaml.SafeDumper):
    """Writes what our own reader takes, without anchors, and texts of several lines as such."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _as_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


PlainDumper.add_representer(str, _as_text)


def stored_config_text(run: RunReader) -> str:
    """The config of a run as YAML, without the keys that have their defaults.

    InputError for an imported run, which has no config.
    """
    stored = run.manifest.config
    if stored.get("imported") or "dataset" not in stored:
        raise InputError(f"run must be one that was sampled, {run.shown_path!r} was imported")
    short = shortened(Config, stored)
    text: str = yaml.dump(short, Dumper=PlainDumper, sort_keys=False, allow_unicode=True, width=88)
    return text


def shortened(section: type[BaseModel], stored: Mapping[str, Json]) -> dict[str, Json]:
    """The keys of a section that do not have their defaults; keys that it does not know stay."""
    short: dict[str, Json] = {key: stored[key] for key in KINDS if stored.get(key) is not None}
    fields = {field.alias or name: field for name, field in section.model_fields.items()}
    for key, value in stored.items():
        field = fields.get(key)
        if field is None:
            short[key] = value
            continue
        value = _shortened_value(field.annotation, value)
        default = field.get_default(call_default_factory=True, validated_data={})
        if default is PydanticUndefined or not _is_default(value, default):
            short[key] = value
    return {key: value for key, value in short.items() if value not in ({}, None)}


def _shortened_value(annotation: object, value: Json) -> Json:
    """A value with the sections in it shortened, in a list or by names as well."""
    inner = _section_of(annotation, value)
    if inner is None:
        return value
    if isinstance(value, list):
        return [shortened(inner, one) if isinstance(one, Mapping) else one for one in value]
    if not isinstance(value, Mapping):
        return value
    if get_origin(annotation) is dict:
        sections = {k: v for k, v in value.items() if isinstance(v, Mapping)}
        return {**value, **{name: shortened(inner, one) for name, one in sections.items()}}
    return shortened(inner, value)


def _is_default(value: Json, default: object) -> bool:
    same: bool = json.loads(json.dumps(to_jsonable_python(default, by_alias=True))) == value
    return same


def _section_of(annotation: object, value: Json) -> type[BaseModel] | None:
    """The section that an annotation stands for; of several kinds, the one of the stored kind."""
    if isinstance(annotation, type):
        return annotation if issubclass(annotation, BaseModel) else None
    found = [inner for part in get_args(annotation) if (inner := _section_of(part, value))]
    kind = value.get("kind") if isinstance(value, Mapping) else None
    of_kind = [
        s for s in found if "kind" in s.model_fields and s.model_fields["kind"].default == kind
    ]
    return next(iter(of_kind or found), None)
