"""Opens a run directory for its one driver, either a new run or one to resume.

This module checks before it writes: a folder that is no run, another fingerprint, or another prompt
under a stored id leaves all as it was. A run that holds no result, since its first start failed,
takes on other settings and questions. It knows no sample that is being drawn; `run_store.py` does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from nbest.orchestrator.errors import InputError, RunChanged, StoreError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.ids import require_once
from nbest.orchestrator.store.compaction import compact
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.format.manifest import (
    Json,
    Manifest,
    differences,
    manifest_of,
    new_manifest,
)
from nbest.orchestrator.store.format.names import (
    KINDS,
    LOCK,
    MANIFEST,
    QUERIES,
    RECORDS,
    SAMPLES,
    SCORES,
    is_temporary,
)
from nbest.orchestrator.store.format.parquet import DamagedFile, PartWriter, read_parts
from nbest.orchestrator.store.format.schema import (
    PromptRow,
    prompt_row,
    prompts_of,
    queries_table,
)
from nbest.orchestrator.store.lock import run_lock
from nbest.orchestrator.store.object_lock import object_lock
from nbest.orchestrator.store.reader import RunReader, warn_of_damage
from nbest.orchestrator.types import Outcome, Query

_SHOWN_LINES = 20  # of a diff


class CompactionWarning(UserWarning):
    """Small files of a run could not be merged: it is read more slowly, and nothing is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """A run directory whose lock this process holds."""

    path: StrPath
    manifest: Manifest
    damaged: tuple[DamagedFile, ...]  # files that were set aside when the run was opened
    require_held: Callable[[], None] = lambda: None  # raises RunLocked if the lock was taken over

    def done(self, strategy: str, *, retry_quarantined: bool = False) -> set[str]:
        """Return the ids of the queries that `strategy`, a repr, has ended with, except errors."""
        quarantined = (Outcome.QUARANTINED,) if retry_quarantined else ()
        return RunReader(self.path).done(strategy, retry=(Outcome.ERROR, *quarantined))

    def compact(self) -> None:
        """Merge small files; call it at the end of a run, and now and then in a long one.

        Where that fails it warns: the files count as they are, and the next call tries again.
        """
        try:
            self.require_held()
            compact(RunFolder(self.path))
        except StoreError as error:
            warnings.warn(f"small files are not merged: {error}", CompactionWarning, stacklevel=2)


@contextmanager
def open_run(
    path: StrPath,
    *,
    fingerprint: Mapping[str, Json],
    config: Mapping[str, Json],
    queries: Sequence[Query],
) -> Iterator[OpenRun]:
    """Hold the run at `path` for as long as the context lasts; create it if it is missing.

    `fingerprint` is what decides the samples: model, sampling parameters, seed, prompt template.
    Raises InputError where there can be no run, RunChanged with a diff where the run there has
    results of other settings or prompts, RunLocked where another process holds it.
    """
    require_once(query.id for query in queries)
    folder = RunFolder(path)
    folder.create()
    _require_run_or_empty(folder)
    with _held(folder) as require_held:
        is_blank = not holds_results(folder)
        if is_blank:
            _forget_other(folder, fingerprint, queries)
        manifest = _write_manifest(folder, fingerprint, config, replace_other=is_blank)
        for kind in KINDS:
            folder.add_folder(kind)
        _delete_temporaries(folder)
        damaged = compact(folder)
        _write_queries(folder, queries)
        where = folder.full() if folder.is_local else path  # workers have other working directories
        yield OpenRun(
            path=where, manifest=manifest, damaged=tuple(damaged), require_held=require_held
        )


def holds_results(folder: RunFolder) -> bool:
    """Whether a run has a sample, a record or a score, be it in a file that was set aside."""
    kept = any(folder.files(kind) for kind in (SAMPLES, RECORDS))
    return kept or any(folder.files(scorer) for scorer in folder.folders(SCORES))


@contextmanager
def _held(folder: RunFolder) -> Iterator[Callable[[], None]]:
    """Hold the lock of the run; yields what raises RunLocked where it is not held any more."""
    if folder.is_local:
        with run_lock(folder.full(LOCK)):
            yield lambda: None
    else:
        with object_lock(folder, LOCK) as require_held:
            yield require_held


def _require_run_or_empty(folder: RunFolder) -> None:
    names = folder.names()
    foreign = [name for name in names if name != LOCK and not is_temporary(name)]
    if foreign and MANIFEST not in names:
        rule = f"be empty or hold a {MANIFEST} (it holds {min(foreign)!r})"
        raise InputError(f"run directory must {rule}, got {folder.path!r}")


def _forget_other(
    folder: RunFolder, fingerprint: Mapping[str, Json], queries: Sequence[Query]
) -> None:
    """Delete the questions of a run without results where settings, prompts or all ids are others.

    They go before the manifest is replaced: whenever this ends, what is left is a run.
    """
    if not folder.exists(MANIFEST):
        return
    stored = manifest_of(folder.read(MANIFEST), f"{MANIFEST} in {folder.path!r}")
    prompts, _ = _stored_prompts(folder)  # `_write_queries` warns of what is damaged
    goes_on = not prompts or not queries or any(query.id in prompts for query in queries)
    if not goes_on or differences(stored.fingerprint, fingerprint) or _changed(prompts, queries):
        for part in folder.parts(QUERIES):
            folder.delete(part)


def _write_manifest(
    folder: RunFolder,
    fingerprint: Mapping[str, Json],
    config: Mapping[str, Json],
    *,
    replace_other: bool,
) -> Manifest:
    """Write the manifest and return it. It is the first file of a new run: it makes it a run."""
    manifest = new_manifest(fingerprint, config)
    if folder.exists(MANIFEST):
        stored = manifest_of(folder.read(MANIFEST), f"{MANIFEST} in {folder.path!r}")
        lines = differences(stored.fingerprint, fingerprint)
        if lines and not replace_other:
            raise RunChanged(_diff(f"run directory {folder.path!r} has other settings", lines))
        manifest = manifest if lines else replace(stored, config=config)
        if manifest.to_json() == stored.to_json():
            return stored
    folder.commit(MANIFEST, manifest.to_json().encode())
    return manifest


def _delete_temporaries(folder: RunFolder) -> None:
    for place in ("", *KINDS, *folder.folders(SCORES)):
        folder.delete_temporaries(place)


def _write_queries(folder: RunFolder, queries: Sequence[Query]) -> None:
    """Add the queries that are new to the run."""
    prompts, damaged = _stored_prompts(folder)
    for damage in damaged:
        warn_of_damage(damage)
    changed = _changed(prompts, queries)
    if changed:
        lines = [f"query {changed[0]!r}: another prompt"]
        if len(changed) > 1:
            lines.append(f"and {len(changed) - 1:,} more of {len(queries):,}")
        raise RunChanged(_diff(f"run directory {folder.path!r} has other prompts", lines))
    new = [query for query in queries if query.id not in prompts]
    if new:
        PartWriter(folder, [QUERIES]).commit(QUERIES, queries_table(new))


def _stored_prompts(folder: RunFolder) -> tuple[dict[str, PromptRow], list[DamagedFile]]:
    tables, damaged = read_parts(folder, QUERIES, ["id", "prompt", "messages", "variants"])
    return {key: row for table in tables for key, row in prompts_of(table).items()}, damaged


def _changed(stored: Mapping[str, PromptRow], queries: Sequence[Query]) -> list[str]:
    """The ids of the queries that are stored with another prompt."""
    return [q.id for q in queries if q.id in stored and stored[q.id] != prompt_row(q)]


WAY_OUT = "take another run directory (--out), or delete this one"


def _diff(head: str, lines: Sequence[str]) -> str:
    more = [f"and {len(lines) - _SHOWN_LINES} more"] if len(lines) > _SHOWN_LINES else []
    return "\n  ".join([f"{head}:", *lines[:_SHOWN_LINES], *more, WAY_OUT])
