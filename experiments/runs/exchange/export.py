"""`nbest export`: writes a run in formats that other programs read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from nbest.experiments.runs.exchange.export_samples import pool_lines, samples_table
from nbest.experiments.runs.exchange.preferences import preference_lines
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath, write_whole
from nbest.orchestrator.store.reader import RunReader


def _as_lines(lines: Callable[[StrPath], Iterator[str]]) -> Callable[[StrPath], bytes]:
    return lambda run: "".join(f"{line}\n" for line in lines(run)).encode()


FORMATS: Mapping[str, Callable[[StrPath], bytes]] = {
    "preferences": _as_lines(preference_lines),
    "jsonl": _as_lines(pool_lines),
    "parquet": samples_table,
}


def export_run(run: StrPath, what: str, out: Path | None, *, force: bool = False) -> int:
    """Write a format to a file, whole or not at all, or print it; returns the number of lines.

    For a table, which has no lines, it returns the number of bytes.
    """
    if what not in FORMATS:
        raise InputError(f"format must be one of {', '.join(FORMATS)}, got {what!r}")
    if out is not None and out.exists() and not force:
        raise InputError(f"out must be a new file (or give --force), got {str(out)!r}")
    if out is None and what == "parquet":
        raise InputError("out must be given for a table, which is no text")
    RunReader(run)  # refuses a folder that is no run
    data = FORMATS[what](run)
    if out is None:
        print(data.decode(), end="")
    else:
        _write(out, data)
    return len(data) if what == "parquet" else data.count(b"\n")


def _write(out: Path, data: bytes) -> None:
    try:
        write_whole(out, data)
    except OSError as error:
        raise InputError(f"out must be a file that can be written ({error.strerror})") from error
