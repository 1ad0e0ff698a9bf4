"""`nbest export`, and a person's choices as a selector."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from experiments.pick_session import index_of
from experiments.preferences import preference_lines
from orchestrator.errors import InputError
from orchestrator.store_choices import read_choices
from orchestrator.store_read import read_manifest, read_samples
from scorers import UserChoice

FORMATS: Mapping[str, Callable[[Path], Iterator[str]]] = {"preferences": preference_lines}


def export_run(run: Path, what: str, out: Path | None, *, force: bool = False) -> int:
    """Write the lines of a format to a file, whole or not at all, or print them; their number."""
    if what not in FORMATS:
        raise InputError(f"format must be one of {', '.join(FORMATS)}, got {what!r}")
    if out is not None and out.exists() and not force:
        raise InputError(f"out must be a new file (or give --force), got {str(out)!r}")
    read_manifest(run)  # says so where it is no run
    lines = list(FORMATS[what](run))
    text = "".join(f"{line}\n" for line in lines)
    if out is None:
        print(text, end="")
        return len(lines)
    unfinished = out.with_name(f".{out.name}.tmp")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, out)
    except OSError as error:
        raise InputError(f"out must be a file that can be written ({error.strerror})") from error
    return len(lines)


def chosen_by_user(run: Path) -> UserChoice:
    """The selector `user` of a run; InputError where nobody has chosen anything."""
    choices = read_choices(run)
    places = {query_id: c.index for query_id, c in choices.items() if c.index is not None}
    if not places:
        raise InputError(f"user needs choices, and nobody has made any: nbest pick {run}")
    chosen: dict[str, str] = {}
    for query_id, samples in read_samples(run):
        if query_id in places:
            by_index = {index_of(sample): sample.id for sample in samples}
            chosen[query_id] = by_index.get(places[query_id], "")
    return UserChoice(chosen=chosen)
