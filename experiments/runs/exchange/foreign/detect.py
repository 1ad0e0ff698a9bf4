"""Tells files of other programs by what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nbest.experiments.language.text import one_line
from nbest.experiments.runs.exchange.foreign import (
    batches,
    completions,
    inspect_log,
    lm_eval,
    nemo_skills,
)
from nbest.experiments.runs.exchange.foreign.rows import Format, Placed, json_rows
from nbest.orchestrator.errors import InputError

FORMATS: tuple[Format, ...] = (
    lm_eval.FORMAT,
    batches.FORMAT,
    nemo_skills.FORMAT,
    completions.SEARCH,
    completions.MONKEYS,
    completions.HUMAN_EVAL,
)
OURS = "a pool"
ZIP_START = b"PK\x03\x04"


def format_of(files: Sequence[Path]) -> str:
    """The name of the format of files, `a pool` for our own and for all that nobody knows.

    InputError where there is no such file, or files are of several formats.
    """
    names = dict.fromkeys(_format_of(file) for file in files)
    if len(names) > 1:
        raise InputError(f"files must be of one format, got {' and '.join(names)}")
    return next(iter(names))


def foreign_rows(name: str, files: Sequence[Path]) -> Iterator[Placed]:
    """Yield the lines of a pool that files of a format hold, each with its place.

    InputError where a row has not the form of the others.
    """
    read: Callable[[Sequence[Path]], Iterator[Placed]] = inspect_log.pool_rows
    for known in FORMATS:
        if known.name == name:
            read = known.pool_rows
    last = ""
    try:
        for where, line in read(files):
            last = where
            yield where, line
    # Other people's files: a key that is not there, or that holds something else.
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        named = ", ".join(map(str, files[:3]))
        after = f" after {last}" if last else ""
        what = f"{type(error).__name__}: {one_line(error)}"
        raise InputError(f"{named}: must hold {name}, a row{after} does not ({what})") from error


def _format_of(file: Path) -> str:
    if not file.is_file():
        raise InputError(f"pool must be a file of JSON lines, got {str(file)!r}")
    if file.suffix in completions.YAML:
        return completions.MONKEYS.name
    if inspect_log.is_log(file):
        return inspect_log.NAME
    with file.open("rb") as stream:
        if stream.read(4) == ZIP_START:
            raise InputError(f"{file}: must be a whole archive, its end is missing")
    try:
        _, first = next(json_rows(file))
    except (InputError, StopIteration):  # our own reader says what is wrong with it
        return OURS
    return next((known.name for known in FORMATS if known.is_row(first)), OURS)
