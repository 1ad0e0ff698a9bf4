"""The part of a run that a command asks about: its questions, and their first n samples.

A run folder may hold more: questions of an earlier command, and samples of a larger n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from nbest.orchestrator.errors import RunChanged
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.format.manifest import Json
from nbest.orchestrator.store.format.names import MANIFEST
from nbest.orchestrator.store.opening import holds_results
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Sample


class Scope:
    """Keeps what a command asks about, and counts what it leaves out."""

    def __init__(self, query_ids: Set[str], most: int) -> None:
        """`most`: the samples of a question, from index 0 on."""
        self._query_ids = query_ids
        self._most = most
        self._other_queries = 0
        self._deeper_queries = 0  # with samples beyond the first `most`

    def keeps(self, query_id: str) -> bool:
        is_kept = query_id in self._query_ids
        self._other_queries += not is_kept
        return is_kept

    def first(self, samples: Sequence[Sample]) -> tuple[Sample, ...]:
        """The samples of a question that count."""
        kept = tuple(sample for sample in samples if index_of(sample.id) < self._most)
        self._deeper_queries += len(kept) < len(samples)
        return kept

    def notes(self) -> tuple[str, ...]:
        """What the run holds beside: one line each, after all cases have been looked at."""
        notes = []
        if self._other_queries:
            notes.append(
                f"the run holds {self._other_queries} more questions, which this command does not "
                "ask: they are in no line of the table (nbest select shows all)"
            )
        if self._deeper_queries:
            notes.append(
                f"the run holds more than {self._most} samples of {self._deeper_queries} questions:"
                f" the table is of the first {self._most} (nbest select shows all)"
            )
        return tuple(notes)


def require_same_dataset(out: StrPath, query_ids: Set[str], dataset: Mapping[str, Json]) -> None:
    """Raise RunChanged where the run has results, and all are of another dataset."""
    folder = RunFolder(out)
    if not folder.exists(MANIFEST) or not holds_results(folder):
        return
    run = RunReader(out)
    stored = set(run.query_ids)
    before = run.manifest.config.get("dataset")
    if not stored or stored & query_ids or before is None or before == dict(dataset):
        return
    where = f"run directory {folder.path!r} holds {len(stored)} questions of another dataset"
    raise RunChanged(f"{where}, such as {min(stored)!r}, and none of these: take another --out")
