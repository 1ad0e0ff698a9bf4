"""Reads a run directory, whether or not somebody is writing to it.

Of the rows of one key it gives the one that counts: of a sample the first, of a record the last.
It knows no lock and no writer.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.store.format.files import RunFolder, StrPath
from nbest.orchestrator.store.format.manifest import Manifest, manifest_of
from nbest.orchestrator.store.format.names import MANIFEST, QUERIES, RECORDS, SCORES, slug
from nbest.orchestrator.store.format.parquet import DamagedFile, read_parts
from nbest.orchestrator.store.format.schema import queries_of, records_of
from nbest.orchestrator.store.index import SampleIndex
from nbest.orchestrator.types import Outcome, Query, Record, Sample

OnDamage = Callable[[DamagedFile], None]


class DamagedFileWarning(UserWarning):
    """A file of a run could not be read; all others were."""


def warn_of_damage(damage: DamagedFile) -> None:
    """What readers do unless told otherwise."""
    warnings.warn(str(damage), DamagedFileWarning, stacklevel=2)


def existing_run(path: StrPath) -> RunFolder:
    """The files of a run that is there, or InputError."""
    folder = RunFolder(path)
    if not folder.exists(MANIFEST):
        rule = f"hold a {MANIFEST}, as every run of nbest does"
        raise InputError(f"run directory must {rule}, got {folder.path!r}")
    return folder


def read_manifest(path: StrPath) -> Manifest:
    """What the run was made with."""
    folder = existing_run(path)
    return manifest_of(folder.read(MANIFEST), f"{MANIFEST} in {folder.path!r}")


def read_queries(path: StrPath, on_damage: OnDamage = warn_of_damage) -> list[Query]:
    """The queries of the run, in the order in which they were given."""
    tables, damaged = read_parts(existing_run(path), QUERIES)
    _report(damaged, on_damage)
    return [query for table in tables for query in queries_of(table)]


def read_samples(
    path: StrPath, on_damage: OnDamage = warn_of_damage
) -> Iterator[tuple[str, tuple[Sample, ...]]]:
    """Each query id that has samples, with them in the order of their indices.

    Queries come in the order of the run. An index that was never committed leaves no gap.
    """
    order = [query.id for query in read_queries(path, on_damage)]
    index = SampleIndex(existing_run(path))
    return _samples(index, order, on_damage)


def _samples(
    index: SampleIndex, order: list[str], on_damage: OnDamage
) -> Iterator[tuple[str, tuple[Sample, ...]]]:
    for query_id in dict.fromkeys([*order, *index]):
        samples = tuple(index.samples(query_id).values())
        _report(index.damaged, on_damage)
        index.damaged.clear()
        if samples:
            yield query_id, samples


def read_records(path: StrPath, on_damage: OnDamage = warn_of_damage) -> list[Record]:
    """The last record of each query and strategy, in the order of the run's queries."""
    tables, damaged = read_parts(existing_run(path), RECORDS)
    _report(damaged, on_damage)
    last = {(r.query_id, r.strategy): r for table in tables for r in records_of(table)}
    order = {query.id: place for place, query in enumerate(read_queries(path, on_damage))}
    unknown = len(order)
    return sorted(
        last.values(), key=lambda r: (order.get(r.query_id, unknown), r.query_id, r.strategy)
    )


def read_done(
    path: StrPath,
    strategy: str,
    on_damage: OnDamage = warn_of_damage,
    *,
    retry: Collection[Outcome] = (Outcome.ERROR,),
) -> set[str]:
    """Ids of the queries whose last record by the strategy of that repr is none to `retry`."""
    columns = ["query_id", "strategy", "outcome"]
    tables, damaged = read_parts(existing_run(path), RECORDS, columns)
    _report(damaged, on_damage)
    last: dict[str, str] = {}
    for table in tables:
        rows = zip(*(table[name].to_pylist() for name in columns), strict=True)
        last.update((query_id, outcome) for query_id, by, outcome in rows if by == strategy)
    return {query_id for query_id, outcome in last.items() if outcome not in retry}


def read_scores(
    path: StrPath, scorer: str, on_damage: OnDamage = warn_of_damage
) -> dict[str, dict[int, float]]:
    """Query id -> sample index -> the first score that the scorer of that name gave."""
    tables, damaged = read_parts(existing_run(path), f"{SCORES}/{slug(scorer)}")
    _report(damaged, on_damage)
    scores: dict[str, dict[int, float]] = {}
    for table in tables:
        for query_id, index, score in zip(*(c.to_pylist() for c in table.columns), strict=True):
            scores.setdefault(query_id, {}).setdefault(index, score)
    return scores


def scorers_of(path: StrPath) -> tuple[str, ...]:
    """The names, as they are in paths, of the scorers whose scores the run holds."""
    return tuple(sorted(name.rpartition("/")[2] for name in existing_run(path).folders(SCORES)))


def _report(damaged: list[DamagedFile], on_damage: OnDamage) -> None:
    for damage in damaged:
        on_damage(damage)
