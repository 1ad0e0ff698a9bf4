"""Paths of runs, and files and folders that are written whole or not at all.

They are written beside their place first, then renamed. The store does more
(`store/format/files.py`): it syncs, and knows other filesystems.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

StrPath = str | os.PathLike[str]

_HERE = -100  # AT_FDCWD; the paths are absolute
_RENAME_EXCHANGE = 2


def write_whole(path: Path, data: bytes) -> None:
    """Write a file; until it is complete, what was there before stays. Raises OSError."""
    with whole_file(path) as stream:
        stream.write(data)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a stream to fill; the file takes the place of `path` if the block raises nothing."""
    unfinished = _beside(path)
    try:
        with unfinished.open("wb") as stream:
            yield stream
        os.replace(unfinished, path)
    except BaseException:
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
    if not path.exists():
        unfinished.rename(path)
        return
    _exchange(unfinished, path)
    shutil.rmtree(unfinished, ignore_errors=True)


def _exchange(one: Path, other: Path) -> None:
    """Give each of two folders the name of the other: at no moment is there none of the name.

    Linux does it in one step. Where that is not to be had, a kill between two steps leaves the
    old folder under the name `.NAME.tmp.old`.
    """
    if sys.platform == "linux":
        rename = getattr(ctypes.CDLL(None), "renameat2", None)
        names = os.fsencode(one.absolute()), os.fsencode(other.absolute())
        if rename and not rename(_HERE, names[0], _HERE, names[1], _RENAME_EXCHANGE):
            return
    aside = one.with_name(f"{one.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    other.rename(aside)
    one.rename(other)
    aside.rename(one)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def run_name(path: StrPath) -> str:
    """Return the last part of a run directory, a path or a URI.

    >>> run_name("s3://bucket/runs/demo?region=eu"), run_name("runs/demo/")
    ('demo', 'demo')
    """
    return os.fspath(path).partition("?")[0].rstrip("/").rpartition("/")[2]


def without_password(path: str) -> str:
    """Return a path or URI as it may be shown. A secret may hold a slash; options may be secrets.

    >>> without_password("s3://key:secret@bucket/run?region=eu")
    's3://***@bucket/run?***'
    """
    if "://" not in path:
        return path
    return re.sub(r"://([^/:]*:.*|[^/]*)@", "://***@", re.sub(r"\?.*", "?***", path))
