"""`--set a.b[0]=c`: one value of a config, given on the command line.

The value is YAML: `8`, `vote`, `[a, b]`, `"with: colon"`. It knows no section of the config, so a
key that does not exist is refused later, by the same check as one in the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from nbest.experiments.language.errors import Origins, dotted
from nbest.experiments.language.text import SHOWN_CHARACTERS, printable, shown
from nbest.experiments.language.yaml_text import COMMENTED, KeyPath, parse_yaml
from nbest.orchestrator.errors import InputError

T = TypeVar("T")

STEP = re.compile(r"(?:^|\.)([A-Za-z_][\w-]*)|\[(\d{1,6})\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    """Names one assignment in the errors about it."""

    name: str
    path: KeyPath

    def refusal(self, at: KeyPath, what: str) -> InputError:
        return InputError(f"{self.name}: {dotted(at)} {what}")


def apply_overrides(
    raw: Mapping[str, object], assignments: Sequence[str], origins: Origins
) -> tuple[dict[str, object], Origins]:
    """Apply every assignment in order; returns the config and where its values now come from."""
    changed: object = raw
    for text in assignments:
        path, value = parse_override(text)
        changed = _set_at(changed, path, value, _Setting(name=label(text), path=path))
        origins = replace(
            origins,
            lines=_places_outside(path, origins.lines),
            overrides={**_places_outside(path, origins.overrides), path: label(text)},
        )
    return dict(cast("Mapping[str, object]", changed)), origins


def _places_outside(path: KeyPath, places: Mapping[KeyPath, T]) -> dict[KeyPath, T]:
    """The places that an assignment to `path` leaves as they were."""
    return {p: place for p, place in places.items() if p[: len(path)] != path}


def parse_override(text: str) -> tuple[KeyPath, object]:
    """Parse `a.b[0]=c` as `(("a", "b", 0), "c")`."""
    key, equals, value = text.partition("=")
    path, end = [], 0
    while (step := STEP.match(key, end)) is not None:
        path.append(step[1] if step[1] is not None else int(step[2]))
        end = step.end()
    if not equals or not path or end != len(key) or isinstance(path[0], int):
        raise InputError(f"--set must look like key.key=value, got {shown(text)}")
    if value.lstrip().startswith("#"):
        raise InputError(f"{label(text)}: {COMMENTED}")
    return tuple(path), parse_yaml(value.encode("utf-8", "replace"), label(text)).value


def label(text: str) -> str:
    """What errors call an assignment."""
    return f"--set {printable(text[:SHOWN_CHARACTERS])}"


def _set_at(holder: object, path: KeyPath, value: object, setting: _Setting) -> object:
    """Copy `holder` with the value set at `path`; mappings missing on the way are created."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    at = setting.path[: len(setting.path) - len(path)]
    if isinstance(step, int):
        if not isinstance(holder, list):
            raise setting.refusal(at, "is no list")
        if step >= len(holder):
            raise setting.refusal(at, f"has {len(holder)} entries, counted from 0")
        return [*holder[:step], _set_at(holder[step], rest, value, setting), *holder[step + 1 :]]
    if isinstance(holder, list):
        raise setting.refusal(at, "is a list: name an entry by its number, as in [0]")
    if holder is not None and not isinstance(holder, dict):
        raise setting.refusal(at, f"holds no keys, it is {shown(holder)}")
    mapping = holder or {}
    return {**mapping, step: _set_at(mapping.get(step), rest, value, setting)}
