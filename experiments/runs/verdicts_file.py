"""What models have said of the answers of a run: files in its directory, a folder a name.

The folder `verdicts/NAME` has a file for each batch of questions, written whole or not at all.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import Field, ValidationError

from nbest.experiments.language.errors import describe
from nbest.experiments.language.section import Section
from nbest.experiments.language.text import printable, shown
from nbest.experiments.questions.graders.model_verdicts import (
    NAME,
    ModelVerdicts,
    Verdicts,
    require_name,
)
from nbest.experiments.questions.reading import Reading
from nbest.experiments.runs.gold_file import read_gold
from nbest.orchestrator.errors import InputError, StoreError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.store.format.files import RunFolder

FOLDER = "verdicts"
MOST_NAMES = 10  # in a message

Asked = Mapping[str, str]
"""The settings that decide what a model says of an answer."""


class Batch(Section):
    """The verdicts on some questions, and how they were asked for."""

    asked: dict[str, str]
    # By question and answer; null: the model's reply says neither.
    verdicts: dict[str, dict[str, Annotated[int, Field(ge=0, le=1)] | None]]
    # By question: the gold answer that the model was shown.
    gold: dict[str, str] = Field(default_factory=dict)


def write_verdicts(
    run: StrPath, name: str, asked: Asked, verdicts: Verdicts, gold: Mapping[str, str] | None = None
) -> None:
    """Add verdicts on some questions; they are durable when this returns.

    `gold` has the gold answers that the model was shown, by question.
    """
    folder = RunFolder(run)
    for made in (FOLDER, f"{FOLDER}/{name}"):
        folder.add_folder(made)
    document = {
        "asked": dict(asked),
        "gold": {query: gold[query] for query in verdicts} if gold else {},
        "verdicts": {
            query: {answer: None if math.isnan(v) else int(v) for answer, v in said.items()}
            for query, said in verdicts.items()
        },
    }
    file = f"{time.time_ns():020d}-{secrets.token_hex(4)}.json"
    folder.commit(f"{FOLDER}/{name}/{file}", json.dumps(document).encode())


def read_verdicts(run: StrPath, name: str, asked: Asked | None = None) -> Verdicts:
    """Read the verdicts of a name; none where it has none.

    Those for which the model was shown another gold answer than the run holds now are left out.
    InputError where they were asked for in another way than `asked`; StoreError names a file that
    cannot be read, or whose verdicts were asked for in another way than the first ones.
    """
    require_name("name", name)
    folder = RunFolder(run)
    batches = {file: _read(folder, file) for file in _files(folder, name)}
    for file, batch in batches.items():
        if asked is not None and batch.asked != dict(asked):
            differs = next((k for k in asked if asked[k] != batch.asked.get(k)), "setting")
            rule = f"be another one: those of {name!r} were asked for with another {differs}"
            raise InputError(f"name must {rule}, got {name!r}")
        if batch.asked != next(iter(batches.values())).asked:
            rule = f"hold verdicts that were asked for as those of the other files of {name!r}"
            raise StoreError(f"{folder.path}/{shown(file)} must {rule}; delete one or the other")
    gold = read_gold(run) if any(batch.gold for batch in batches.values()) else {}
    verdicts: dict[str, dict[str, float]] = {}
    for batch in batches.values():
        for query, said in batch.verdicts.items():
            is_now = query in gold and gold[query].answer == batch.gold.get(query)
            if is_now or query not in batch.gold:
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
        names = (path.partition("/")[2] for path in RunFolder(run).folders(FOLDER))
        there = [name for name in names if NAME.fullmatch(name)][:MOST_NAMES]
        rule = f"be a name of `nbest grade RUN --name NAME` ({', '.join(there) or 'there is none'})"
        raise InputError(f"grade: model_verdicts: by must {rule}, got {reading.grade.by!r}")
    return replace(reading, grade=replace(reading.grade, verdicts=verdicts))


def _files(folder: RunFolder, name: str) -> list[str]:
    there = f"{FOLDER}/{name}"
    return [f"{there}/{file}" for file in folder.files(there) if file.endswith(".json")]


def _read(folder: RunFolder, file: str) -> Batch:
    where = f"{folder.path}/{shown(file)}"
    try:
        return Batch.model_validate_json(folder.read(file))
    except ValidationError as error:
        _, what = describe(error.errors(include_url=False)[0], {})
        raise StoreError(f"{where} must hold verdicts: {printable(what)[:200]}") from error
    except FileNotFoundError as error:
        raise StoreError(f"{where} must hold verdicts, and is gone") from error
