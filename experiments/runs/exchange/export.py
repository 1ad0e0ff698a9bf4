"""`nbest export`: writes a run in formats that other programs read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from nbest.experiments.pages.files import require_new
from nbest.experiments.runs.exchange.export_answers import (
    answer_rows,
    csv_lines,
    json_lines,
    write_table,
)
from nbest.experiments.runs.exchange.export_inspect import write_inspect_log
from nbest.experiments.runs.exchange.export_samples import pool_lines, samples_table
from nbest.experiments.runs.exchange.preferences import preference_lines
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath, whole_file, write_whole
from nbest.orchestrator.store.reader import RunReader

LINES: Mapping[str, Callable[[StrPath], Iterator[str]]] = {
    "preferences": preference_lines,
    "jsonl": pool_lines,
}
FORMATS = ("answers", *LINES, "parquet", "inspect")
BINARY = ("parquet", "inspect")
ANSWER_SUFFIXES = (".jsonl", ".csv", ".parquet")


def export_run(
    run: StrPath,
    what: str,
    out: Path | None,
    selectors: Sequence[str] | None = None,
    *,
    force: bool = False,
) -> str:
    """Write a format to a file, whole or not at all, or print it; returns what was written.

    Lines go out one by one: a run may be larger than the memory.
    """
    if what not in FORMATS:
        raise InputError(f"format must be one of {', '.join(FORMATS)}, got {what!r}")
    if selectors is not None and what != "answers":
        raise InputError(f"select must go with the format answers, got {what!r}")
    if out is not None:
        require_new(out, force)
    if out is None and what in BINARY:
        raise InputError(f"out must be given for the format {what}, which is no text")
    RunReader(run)  # refuses a folder that is no run
    try:
        if what == "parquet":
            data = samples_table(run)
            write_whole(out or Path(), data)
            return f"{len(data):,} bytes"
        if what == "inspect":
            with whole_file(out or Path()) as stream:
                return f"{write_inspect_log(run, stream):,} samples"
        return _answers(run, out, selectors) if what == "answers" else _lines(LINES[what](run), out)
    except BrokenPipeError:  # whoever read our output has seen enough
        raise
    except OSError as error:
        raise InputError(f"out must be a file that can be written ({error.strerror})") from error


def _answers(run: StrPath, out: Path | None, selectors: Sequence[str] | None) -> str:
    rows = answer_rows(run, selectors)
    if out is None or out.suffix == ".jsonl":
        return _lines(json_lines(rows), out)
    if out.suffix == ".csv":
        return _lines(csv_lines(rows), out)
    if out.suffix == ".parquet":
        with whole_file(out) as stream:
            return f"{write_table(rows, stream):,} rows"
    raise InputError(f"out must end in {', '.join(ANSWER_SUFFIXES)}, got {str(out)!r}")


def _lines(lines: Iterator[str], out: Path | None) -> str:
    count = 0
    if out is None:
        for line in lines:
            print(line)
            count += 1
        sys.stdout.flush()  # a reader that has gone is met here, before lines are counted
        return f"{count:,} lines"
    with whole_file(out) as stream:
        for line in lines:
            stream.write(f"{line}\n".encode())
            count += 1
    return f"{count:,} lines"
