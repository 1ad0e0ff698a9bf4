"""Write files and folders whole or not at all: first beside their place, then renamed.

The store does more (`store/format/files.py`): it syncs, and knows other filesystems.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file; until it is complete, what was there before stays. Raises OSError."""
    unfinished = _beside(path)
    try:
        unfinished.write_bytes(data)
        os.replace(unfinished, path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder to fill; it takes the place of `path` if the block raises nothing."""
    unfinished = _beside(path)
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    shutil.rmtree(path, ignore_errors=True)
    unfinished.rename(path)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")
