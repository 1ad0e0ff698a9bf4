"""Files that a command writes at a place that the user names."""

from __future__ import annotations

from pathlib import Path

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import write_whole


def require_new(out: Path, force: bool) -> None:
    """Raise InputError where a file is there already and may not be overwritten."""
    if out.exists() and not force:
        raise InputError(f"out must be a new file (or give --force), got {str(out)!r}")


def write_text(out: Path, text: str) -> None:
    """Write a text, whole or not at all; InputError where the place cannot be written."""
    try:
        write_whole(out, text.encode())
    except OSError as error:
        raise InputError(f"out must be a file that can be written ({error.strerror})") from error
