"""What models have said of the answers of a run: files in its directory, a folder a name.

The folder `verdicts/NAME` has a file for each batch of questions, written whole or not at all.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from nbest.experiments.language.text import one_line, shown
from nbest.experiments.questions.graders.model_verdicts import (
    ModelVerdicts,
    Verdicts,
    require_name,
)
from nbest.experiments.questions.reading import Reading
from nbest.orchestrator.errors import InputError, StoreError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.store.format.files import RunFolder

FOLDER = "verdicts"

Asked = Mapping[str, str]
"""The settings that decide what a model says of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The verdicts on some questions, and how they were asked for."""

    asked: dict[str, str]
    verdicts: dict[
        str, dict[str, Literal[0, 1] | None]
    ]  # by question and answer; None: nothing was said


_BATCH = TypeAdapter(Batch)


def write_verdicts(run: StrPath, name: str, asked: Asked, verdicts: Verdicts) -> None:
    """Add verdicts on some questions; they are durable when this returns."""
    folder = RunFolder(run)
    for made in (FOLDER, f"{FOLDER}/{name}"):
        folder.add_folder(made)
    document = {
        "asked": dict(asked),
        "verdicts": {
            query: {answer: None if math.isnan(v) else int(v) for answer, v in said.items()}
            for query, said in verdicts.items()
        },
    }
    file = f"{time.time_ns():020d}-{secrets.token_hex(4)}.json"
    folder.commit(f"{FOLDER}/{name}/{file}", json.dumps(document).encode())


def read_verdicts(run: StrPath, name: str, asked: Asked | None = None) -> Verdicts:
    """Read the verdicts of a name; none where it has none.

    InputError where they were asked for in another way than `asked`; StoreError names a file that
    cannot be read.
    """
    require_name("name", name)
    folder = RunFolder(run)
    verdicts: dict[str, dict[str, float]] = {}
    for file in _files(folder, name):
        batch = _read(folder, file)
        if asked is not None and batch.asked != dict(asked):
            differ = sorted(k for k in {*asked, *batch.asked} if asked.get(k) != batch.asked.get(k))
            rule = f"be another one: those of {name!r} were asked for with another {differ[0]}"
            raise InputError(f"name must {rule}, got {name!r}")
        for query, said in batch.verdicts.items():
            of_query = verdicts.setdefault(query, {})
            of_query |= {answer: math.nan if v is None else v for answer, v in said.items()}
    return verdicts


def with_verdicts(reading: Reading, run: StrPath) -> Reading:
    """The reading with the verdicts of a run in its grader, where that reads them.

    InputError where the run has none of that name.
    """
    if not isinstance(reading.grade, ModelVerdicts):
        return reading
    verdicts = read_verdicts(run, reading.grade.by)
    if not verdicts:
        there = (path.partition("/")[2] for path in RunFolder(run).folders(FOLDER))
        rule = f"be a name of `nbest grade RUN --name NAME` ({', '.join(there) or 'there is none'})"
        raise InputError(f"grade: model_verdicts: by must {rule}, got {reading.grade.by!r}")
    return replace(reading, grade=replace(reading.grade, verdicts=verdicts))


def _files(folder: RunFolder, name: str) -> list[str]:
    there = f"{FOLDER}/{name}"
    return [f"{there}/{file}" for file in folder.files(there) if file.endswith(".json")]


def _read(folder: RunFolder, file: str) -> Batch:
    try:
        return _BATCH.validate_json(folder.read(file))
    except (ValidationError, FileNotFoundError) as error:
        raise StoreError(f"{shown(file)} must hold verdicts: {one_line(error)}") from error
