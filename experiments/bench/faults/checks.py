"""Compares run folders: what was lost, what is there twice, whether two runs have equal results.

It knows files and rows, but neither how a run was made nor what was done to it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nbest.experiments.bench.faults.account import Account
from nbest.experiments.bench.faults.workplace import Workplace
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.format.names import SAMPLES
from nbest.orchestrator.store.format.parquet import read_parts
from nbest.orchestrator.store.format.schema import FINAL
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Record, Sample

Key = tuple[str, str]
"""query id, sample id: the sample's id ends with its index, and is the same in every run"""


def same_results(run_dir: StrPath, without: Collection[str] = ()) -> str:
    """A digest of all that must not depend on where, when and how often a run was broken.

    Records by query, without the seconds; samples by key, without times and engine. Queries whose
    ids are in `without` are left out.
    """
    rows = [_timeless_record(record) for record in RunReader(run_dir).records()]
    rows += [_timeless_sample(sample) for sample in stored_samples(run_dir).values()]
    digest = hashlib.sha256()
    for query_id, row in sorted(rows):
        if query_id not in without:
            digest.update(row.encode() + b"\n")
    return digest.hexdigest()


def same_answers(run_dir: StrPath) -> str:
    """A digest of the answer to every question, and of its confidence."""
    rows = [(r.query_id, r.outcome, r.answer, r.confidence) for r in RunReader(run_dir).records()]
    return hashlib.sha256(repr(sorted(rows)).encode()).hexdigest()


def stored_samples(run_dir: StrPath) -> dict[Key, Sample]:
    """Every sample that a run has committed; nothing where there is no run yet."""
    if not RunFolder(run_dir).exists("run.json"):
        return {}
    return {(q, s.id): s for q, samples in RunReader(run_dir).samples() for s in samples}


def repeated_keys(run_dir: StrPath) -> int:
    """Count the keys with more than one final row in the files as they are."""
    tables, _ = read_parts(RunFolder(run_dir), SAMPLES, ["query_id", "index", "status"])
    rows = (zip(*(column.to_pylist() for column in table.columns), strict=True) for table in tables)
    keys = Counter((query, index) for part in rows for query, index, s in part if s in FINAL)
    return sum(count > 1 for count in keys.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What a run had committed at some moment, and how long the journal of its engines was."""

    samples: dict[Key, Sample]
    journal_bytes: int

    def lost(self, after: dict[Key, Sample]) -> int:
        """How many of the samples are gone or have changed."""
        return sum(after.get(key) != sample for key, sample in self.samples.items())

    def regenerated(self, journal: Path) -> int:
        """How many of the samples have been drawn again since."""
        drawn = set(drawn_ids(journal, self.journal_bytes))
        return sum(sample_id in drawn for _, sample_id in self.samples)


def witness(run_dir: StrPath, journal: Path) -> Witness:
    samples = stored_samples(run_dir)
    num_bytes = journal.stat().st_size if journal.exists() else 0
    return Witness(samples=samples, journal_bytes=num_bytes)


def conclude(
    account: Account, place: Workplace, run: str, reference: str, witnesses: Sequence[Witness]
) -> None:
    """Count what a broken run, which went on to its end, has lost or done twice."""
    path, journal = place.place_of(run), place.journal(run)
    after = stored_samples(path)
    account.lost += sum(w.lost(after) for w in witnesses)
    account.lost += max(0, place.load.samples - len(after))
    account.regenerated += sum(w.regenerated(journal) for w in witnesses)
    account.duplicated += repeated_keys(path)
    account.unequal += same_results(path) != reference


def drawn_ids(journal: Path, skip_bytes: int = 0) -> list[str]:
    """The ids of the requests that engines got, in their order."""
    return [line.partition(" ")[2] for line in _journal(journal, skip_bytes)]


def engine_processes(journal: Path) -> int:
    """How many processes have answered requests."""
    return len({line.partition(" ")[0] for line in _journal(journal, 0)})


def _journal(journal: Path, skip_bytes: int) -> Iterable[str]:
    if not journal.exists():
        return []
    with journal.open("rb") as file:
        file.seek(skip_bytes)
        return file.read().decode().splitlines()


def _timeless_record(record: Record) -> tuple[str, str]:
    return record.query_id, repr(replace(record, seconds=0.0))


def _timeless_sample(sample: Sample) -> tuple[str, str]:
    bare = replace(sample, first_token_s=0.0, total_s=0.0, engine="")
    return sample.id.split("/")[1], repr(bare)
