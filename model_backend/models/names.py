"""Turns the name of a model that a user gives into what an engine loads.

It loads nothing itself; only the bundled small model may be fetched, once.
"""

from __future__ import annotations

import re
from pathlib import Path

from nbest.model_backend.models.second_model import cached_second_model
from nbest.model_backend.models.small_model import small_model_path
from nbest.orchestrator.errors import InputError

SMALL_MODEL = "smollm2-135m"
SECOND_MODEL = "qwen2.5-coder-0.5b"  # for studies; it is fetched by a command alone
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def resolve_model(name: str) -> str:
    """Return a folder on disk, or a hub id that the engine itself will fetch."""
    if name.lower() == SMALL_MODEL:
        return str(small_model_path())
    if name == SECOND_MODEL and not is_local(name):
        return str(cached_second_model())
    if is_local(name):
        return str(local_model(Path(name).expanduser()))
    if HUB_ID.fullmatch(name):
        return name
    raise InputError(
        f"model must be {SMALL_MODEL!r}, a folder or a hub id like 'owner/name', got {name!r}"
    )


def is_local(name: str) -> bool:
    """Tell whether a name is a path, by its look or because the folder exists."""
    return name.startswith(("/", "./", "../", "~")) or Path(name).is_dir()


def local_model(path: Path) -> Path:
    """Return the full path of a folder; InputError where it does not look like a model."""
    if not (path / "config.json").is_file():
        raise InputError(f"model must be a folder that holds config.json, got {str(path)!r}")
    return path.resolve()
