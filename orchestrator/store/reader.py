"""Reads a run directory, whether or not somebody is writing to it.

Where several rows have one key, it returns the row that counts: the first of a sample, the last of
a record. This module knows no lock and no writer.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.store.format.arrow import Table, pa
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.format.manifest import Manifest, manifest_of
from nbest.orchestrator.store.format.names import MANIFEST, QUERIES, RECORDS, SCORES, slug
from nbest.orchestrator.store.format.parquet import DamagedFile, read_parts
from nbest.orchestrator.store.format.schema import queries_of, records_of
from nbest.orchestrator.store.index import SampleIndex
from nbest.orchestrator.types import Outcome, Query, Record, Sample

_BATCH = 4096  # rows that are made into objects together

OnDamage = Callable[[DamagedFile], None]


class DamagedFileWarning(UserWarning):
    """A file of a run could not be read; all others were."""


def warn_of_damage(damage: DamagedFile) -> None:
    """Warn of a damaged file: the default of readers."""
    warnings.warn(str(damage), DamagedFileWarning, stacklevel=2)


def existing_run(path: StrPath) -> RunFolder:
    """Return the folder of an existing run; InputError where there is none."""
    folder = RunFolder(path)
    if not folder.exists(MANIFEST):
        rule = f"hold a {MANIFEST}, as every run of nbest does"
        raise InputError(f"run directory must {rule}, got {folder.path!r}")
    return folder


class StoredSamples:
    """The samples of a run at one moment, read on demand and not kept."""

    def __init__(
        self, index: SampleIndex, on_damage: Callable[[Sequence[DamagedFile]], None]
    ) -> None:
        """Use `RunReader.stored_samples`."""
        self._index = index
        self._on_damage = on_damage

    def __iter__(self) -> Iterator[str]:
        """Yield the query ids, in the order in which their first samples were committed."""
        return iter(self._index)

    def of(self, query_id: str) -> tuple[Sample, ...]:
        """Read the samples of a query in the order of their indices; empty where it has none."""
        samples = tuple(self._index.samples(query_id).values())
        if self._index.damaged:
            self._on_damage(tuple(self._index.damaged))
            self._index.damaged.clear()
        return samples


class RunReader:
    """An existing run, opened once; InputError where there is none.

    `on_damage` is called for each file that cannot be read; its rows count as missing. The manifest
    and the queries are read once; samples, records and scores are read at every call, for the run
    may still be growing.

    Example: `dict(RunReader("runs/demo").samples())`
    """

    def __init__(self, path: StrPath, on_damage: OnDamage = warn_of_damage) -> None:
        self._folder = existing_run(path)
        self.path = path
        self.shown_path = self._folder.path  # without a password
        self._on_damage = on_damage

    @cached_property
    def manifest(self) -> Manifest:
        """The settings and versions that the run was made with."""
        return manifest_of(self._folder.read(MANIFEST), f"{MANIFEST} in {self._folder.path!r}")

    @cached_property
    def queries(self) -> list[Query]:
        """The queries of the run, in the order in which they were given."""
        return list(self.each_query())

    def each_query(self) -> Iterator[Query]:
        """Yield the queries in their order; only a batch of them is in memory."""
        for table in self._tables(QUERIES):
            for batch in table.to_batches(max_chunksize=_BATCH):
                yield from queries_of(pa.Table.from_batches([batch]))

    @cached_property
    def query_ids(self) -> list[str]:
        """The ids of the queries, in their order: a column, and no query is made of it."""
        tables = self._tables(QUERIES, ["id"])
        return [query_id for table in tables for query_id in table["id"].to_pylist()]

    def samples(
        self, columns: Collection[str] | None = None
    ) -> Iterator[tuple[str, tuple[Sample, ...]]]:
        """Yield each query id that has samples, and its samples in the order of their indices.

        Queries come in the order of the run. An index that was never committed leaves no gap.
        `columns` are the fields of `Sample` to read; the others keep their defaults and cost
        nothing. None reads all.
        """
        stored = self.stored_samples(columns)
        for query_id in dict.fromkeys([*self.query_ids, *stored]):
            if samples := stored.of(query_id):
                yield query_id, samples

    def stored_samples(self, columns: Collection[str] | None = None) -> StoredSamples:
        """The samples that are there now, to be read query by query, in any order."""
        return StoredSamples(SampleIndex(self._folder, columns=columns), self._report)

    def records(self) -> list[Record]:
        """Return the last record of each query and strategy, in the order of the run's queries."""
        tables = self._tables(RECORDS)
        last = {(r.query_id, r.strategy): r for table in tables for r in records_of(table)}
        order = {query_id: place for place, query_id in enumerate(self.query_ids)}
        unknown = len(order)
        return sorted(
            last.values(), key=lambda r: (order.get(r.query_id, unknown), r.query_id, r.strategy)
        )

    def done(self, strategy: str, *, retry: Collection[Outcome] = (Outcome.ERROR,)) -> set[str]:
        """Return the ids of queries whose last record by `strategy`, a repr, is not to `retry`."""
        columns = ["query_id", "strategy", "outcome"]
        last: dict[str, str] = {}
        for table in self._tables(RECORDS, columns):
            rows = zip(*(table[name].to_pylist() for name in columns), strict=True)
            last.update((query_id, outcome) for query_id, by, outcome in rows if by == strategy)
        return {query_id for query_id, outcome in last.items() if outcome not in retry}

    def ended(self) -> set[str]:
        """Return the ids of the queries that have a record, whatever its strategy and outcome."""
        tables = self._tables(RECORDS, ["query_id"])
        return {query_id for table in tables for query_id in table["query_id"].unique().to_pylist()}

    def scores(self, scorer: str) -> dict[str, dict[int, float]]:
        """Return, by query id and sample index, the first score by the scorer of that name."""
        scores: dict[str, dict[int, float]] = {}
        for table in self._tables(f"{SCORES}/{slug(scorer)}"):
            columns = [column.to_pylist() for column in table.columns]
            for query_id, index, score in zip(*columns, strict=True):
                scores.setdefault(query_id, {}).setdefault(index, score)
        return scores

    @property
    def scorers(self) -> tuple[str, ...]:
        """The names of the scorers whose scores the run holds, as they are in paths."""
        names = self._folder.folders(SCORES)
        return tuple(sorted(name.rpartition("/")[2] for name in names))

    def _tables(self, kind: str, columns: list[str] | None = None) -> list[Table]:
        tables, damaged = read_parts(self._folder, kind, columns)
        self._report(damaged)
        return tables

    def _report(self, damaged: Sequence[DamagedFile]) -> None:
        for damage in damaged:
            self._on_damage(damage)
