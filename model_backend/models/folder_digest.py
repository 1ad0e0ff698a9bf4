"""Tells versions of a model folder apart: a model that was trained anew is another model."""

from __future__ import annotations

import hashlib
from pathlib import Path

# A large file is read in so many pieces, evenly spread: training changes weights everywhere.
PIECES = 16
PIECE_BYTES = 65_536


def folder_digest(name: str) -> str | None:
    """Return 16 hexadecimal digits of what a folder holds; None where there is no such folder.

    The names, the sizes and pieces of the contents decide, not the times: a copy is the same.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        digest.update(_read_pieces(file))
    return digest.hexdigest()[:16]


def _read_pieces(file: Path) -> bytes:
    """Read a small file whole, and evenly spread pieces of a large one."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        if size <= PIECES * PIECE_BYTES:
            return stream.read()
        pieces = []
        for i in range(PIECES):
            stream.seek(i * (size - PIECE_BYTES) // (PIECES - 1))
            pieces.append(stream.read(PIECE_BYTES))
        return b"".join(pieces)
