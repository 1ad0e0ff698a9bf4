"""`nbest import`: makes samples from elsewhere into a run, to choose from like any other."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic_core import PydanticSerializationError

from nbest.experiments.config.plugins import build_extractor, build_grader
from nbest.experiments.questions.gold import Gold
from nbest.experiments.runs.exchange.foreign.detect import format_of
from nbest.experiments.runs.exchange.pool_lines import PoolLine, prompt_of, read_pool
from nbest.experiments.runs.gold_file import write_gold
from nbest.experiments.runs.recorded_answers import Row, read_recorded, write_recorded
from nbest.orchestrator.errors import InputError, RunChanged
from nbest.orchestrator.files import StrPath, run_name
from nbest.orchestrator.ids import sample_id
from nbest.orchestrator.protocols import Extractor
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.format.manifest import Json
from nbest.orchestrator.store.format.names import MANIFEST
from nbest.orchestrator.store.opening import OpenRun, open_run
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.store.writer import FileStore
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Query

CLUSTER = "cluster"  # the key of a question's meta that names its template
TELL_EVERY = 1000  # questions
_LATER_SAMPLE_KEYS = {"arm", "reasoning", "top_logprobs", "top_tokens", "prompt_tokens", "seconds"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What a run holds after an import."""

    format: str  # of the files, in words
    queries: int
    samples: int
    scorers: tuple[str, ...]  # whose numbers came with the samples


def import_pool(
    files: Sequence[Path],
    out: StrPath,
    *,
    extract: str = "whole_text",
    grade: str = "exact",
    tell: Callable[[str], None] = lambda line: None,
) -> Imported:
    """Write the lines of these files as a run; importing the same again changes nothing.

    Every line is checked before anything is written. Raises RunChanged where the folder holds
    other samples.
    """
    build_extractor(extract), build_grader(grade)  # refuse wrong names before reading
    queries, gold, digest = _questions(files)
    drawn = next((line.strategy for line in read_pool(files) if line.strategy), {})
    _require_same_pool(out, digest)
    fingerprint = {"imported": digest}
    config: dict[str, Json] = {
        "name": run_name(out),
        "extract": extract,
        "grade": grade,
        "imported": True,
        "strategy": drawn,
    }
    if any(CLUSTER in query.meta for query in queries):
        config["dataset"] = {"cluster": CLUSTER}
    with open_run(out, fingerprint=fingerprint, config=config, queries=queries) as run:
        write_gold(out, gold)
        imported = wait_for(_store(files, run, build_extractor(extract), tell))
        run.compact()
    return imported


def _require_same_pool(out: StrPath, digest: str) -> None:
    """Raise RunChanged where another pool was imported into the folder, or a part of this one."""
    folder = RunFolder(out)
    if folder.exists(MANIFEST):
        stored = RunReader(out).manifest.fingerprint.get("imported")
        if stored is not None and stored != digest:
            where = f"run directory {folder.path!r} holds another pool"
            raise RunChanged(f"{where}; take another --out for this one")


def _questions(files: Sequence[Path]) -> tuple[list[Query], dict[str, Gold], str]:
    """Every question, the gold answers by query id, and a digest of the files."""
    queries, gold, digest = [], {}, sha256()
    for line in read_pool(files):
        digest.update(_canonical(line).encode())
        meta = line.meta if line.cluster is None else line.meta | {CLUSTER: line.cluster}
        queries.append(Query(id=line.id, prompt=prompt_of(line), meta=meta))
        if line.gold is not None:
            gold[line.id] = Gold(answer=line.gold)
    if not queries:
        raise InputError(f"pool must hold a line a question, got none in {_named(files)}")
    return queries, gold, digest.hexdigest()


def _canonical(line: PoolLine) -> str:
    """The text of a line that the digest is of; keys that came later are in it where they are set.

    So a pool that an earlier version imported is the same pool today.
    """
    left_out = _LATER_SAMPLE_KEYS - {
        key for sample in line.samples for key in sample.model_fields_set
    }
    exclude: dict[str, Any] = {"samples": {"__all__": left_out}}
    if not line.meta:
        exclude["meta"] = True
    if line.cluster is None:
        exclude["cluster"] = True
    try:
        return line.model_dump_json(exclude=exclude)
    except PydanticSerializationError:  # half a surrogate pair in a text
        return json.dumps(line.model_dump(exclude=exclude))


async def _store(
    files: Sequence[Path], run: OpenRun, extract: Extractor, tell: Callable[[str], None]
) -> Imported:
    count, samples = 0, 0
    recorded, new_answers = read_recorded(run.path), list[Row]()
    scored: dict[str, set[str]] = {}  # by scorer, the questions that have its numbers already
    async with aclosing(await FileStore.open(run.path)) as store:
        for line in read_pool(files):
            for name in {name for sample in line.samples for name in sample.scores}:
                if name not in scored:
                    scored[name] = set(RunReader(run.path).scores(name))
            _add(store, line, scored)
            new_answers += _answers_to_record(line, extract, recorded.get(line.id, {}))
            count, samples = count + 1, samples + len(line.samples)
            if count % TELL_EVERY == 0:
                tell(f"{count} questions, {samples} samples")
                await store.flush()  # what has been read need not stay in memory
    write_recorded(run.path, new_answers)
    return Imported(
        format=format_of(files), queries=count, samples=samples, scorers=tuple(sorted(scored))
    )


def _answers_to_record(
    line: PoolLine, extract: Extractor, recorded: Mapping[int, str]
) -> Iterator[Row]:
    """Yield the answers that differ from what the extractor reads in their texts."""
    for index, sample in enumerate(line.samples):
        answer = (sample.answer or "").strip()
        is_new = bool(answer) and sample.text is not None and index not in recorded
        if is_new and extract(sample.text or "") != answer:
            yield line.id, index, answer


def _add(store: FileStore, line: PoolLine, scored: Mapping[str, Set[str]]) -> None:
    """Store the samples and scores of a line that are not there yet."""
    by_scorer: dict[str, dict[int, float]] = {}
    for index, entry in enumerate(line.samples):
        if store.get(line.id, index) is None:
            store.add(line.id, index, entry.sample(sample_id("import", line.id, index)))
        for name, score in entry.scores.items():
            by_scorer.setdefault(name, {})[index] = math.nan if score is None else score
    for name, scores in by_scorer.items():
        if line.id not in scored[name]:
            store.add_scores(name, line.id, scores)


def _named(files: Sequence[Path]) -> str:
    return ", ".join(repr(str(file)) for file in files)
