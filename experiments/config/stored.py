"""The config that a run holds, written as a file that makes the same run again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from nbest.experiments.config.config import Config
from nbest.experiments.config.objects import Objects
from nbest.experiments.language.code_files import refuse_code_files
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

    Where a part that it names is a plugin that is not here, or a class in a file, all keys are
    written as they are stored. InputError for an imported run, which has no config.
    """
    stored = run.manifest.config
    if stored.get("imported") or "dataset" not in stored:
        raise InputError(f"run must be one that was sampled, {run.shown_path!r} was imported")
    text: str = yaml.dump(
        _shortened(stored), Dumper=PlainDumper, sort_keys=False, allow_unicode=True, width=88
    )
    return text


def _shortened(stored: Mapping[str, Json]) -> Mapping[str, Json]:
    keys = ("select", "extract", "grade", "equivalence", "strategy", "model", "models", "arms")
    try:
        for key in keys:  # to check a config is to load what it names
            refuse_code_files(key, stored.get(key))
        config = Config.model_validate(stored, context=Objects())
    except (InputError, ValidationError):
        return stored
    return _with_kinds(config.model_dump(mode="json", by_alias=True, exclude_defaults=True), stored)


def _with_kinds(short: Mapping[str, Json], stored: Mapping[str, Json]) -> dict[str, Json]:
    """The short form, with the kind of each section that it holds first."""
    whole: dict[str, Json] = {key: stored[key] for key in KINDS if stored.get(key) is not None}
    for key, value in short.items():
        of_stored = stored.get(key)
        if isinstance(value, Mapping) and isinstance(of_stored, Mapping):
            whole[key] = _with_kinds(value, of_stored)
        else:
            whole[key] = value
    return whole
