"""Commits what one process adds to a run directory, in batches, while sampling goes on.

A sample is on disk within about half a second, or as soon as a few thousand have gathered. Files
are written in a thread, so that sampling never waits for a disk. Any number of processes may write
to one run, each through a store of its own, under names of its own.

This module knows no engine, no strategy and no lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from nbest.orchestrator.errors import StoreError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.store.format.names import KINDS, RECORDS, SAMPLES, SCORES, slug
from nbest.orchestrator.store.format.parquet import DamagedFile, PartWriter
from nbest.orchestrator.store.format.schema import (
    SampleRow,
    ScoreRow,
    records_table,
    samples_table,
    scores_table,
)
from nbest.orchestrator.store.index import SampleIndex
from nbest.orchestrator.store.reader import existing_run
from nbest.orchestrator.types import Record, Sample

COMMIT_S = 0.5
BATCH_SAMPLES = 4096
BATCH_TOKENS = 1 << 20  # a token id with its log-probability takes some 70 bytes in memory


@dataclass(slots=True, kw_only=True)
class _Batch:
    """Rows that are committed together."""

    samples: list[SampleRow] = field(default_factory=list)
    scores: dict[str, list[ScoreRow]] = field(default_factory=dict)  # by folder
    records: list[Record] = field(default_factory=list)
    num_tokens: int = 0  # of these samples
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    failure: str = ""  # one line, when not all of it could be committed

    def is_empty(self) -> bool:
        return not (self.samples or self.scores or self.records)

    def is_full(self) -> bool:
        return len(self.samples) >= BATCH_SAMPLES or self.num_tokens >= BATCH_TOKENS

    def take_back(self, failed: _Batch) -> None:
        """Put the rows that a failed commit has not written before all that came since."""
        self.samples[:0] = failed.samples
        self.records[:0] = failed.records
        for folder, rows in failed.scores.items():
            self.scores[folder] = rows + self.scores.get(folder, [])
        self.num_tokens += failed.num_tokens


class FileStore:
    """A `RunStore` over a run directory."""

    def __init__(self, index: SampleIndex, writer: PartWriter, commit_s: float) -> None:
        """Use `open`."""
        self._index = index
        self._writer = writer
        self._commit_s = commit_s
        self._batch = _Batch()
        self._in_flight: _Batch | None = None
        self._failure = ""
        # A thread of its own: whatever keeps those of `asyncio.to_thread` busy, files are written.
        self._thread = ThreadPoolExecutor(1, "nbest-store")
        self._is_due = asyncio.Event()
        self._is_closing = False
        self._committer = asyncio.create_task(self._commit_regularly())

    @classmethod
    async def open(cls, path: StrPath, *, commit_s: float = COMMIT_S) -> FileStore:
        """Open a store of the run at `path` that commits every `commit_s` seconds."""
        folder = existing_run(path)
        index = await asyncio.to_thread(SampleIndex, folder)
        writer = await asyncio.to_thread(PartWriter, folder, KINDS)
        return cls(index, writer, commit_s)

    @property
    def damaged(self) -> tuple[DamagedFile, ...]:
        """Files of samples that could not be read so far; their rows count as missing."""
        return tuple(self._index.damaged)

    def get(self, query_id: str, index: int) -> Sample | None:
        return self._index.get(query_id, index)

    async def prepare(self, query_id: str) -> None:
        """Read what there is of a query in a thread, so that `get` finds it in memory."""
        if missing := self._index.unread_places(query_id):
            self._index.keep(await asyncio.to_thread(self._index.read_blocks, missing))

    def add(self, query_id: str, index: int, sample: Sample) -> None:
        assert not self._is_closing
        batch = self._batch
        batch.samples.append((query_id, index, sample))
        batch.num_tokens += len(sample.token_ids)
        if batch.is_full():
            self._is_due.set()
        if self._failure:
            self._raise_failure()

    def add_scores(self, scorer: str, query_id: str, scores: Mapping[int, float]) -> None:
        """Add the scores of one query by the scorer of that name, by sample index."""
        rows = self._batch.scores.setdefault(f"{SCORES}/{slug(scorer)}", [])
        rows.extend((query_id, index, score) for index, score in scores.items())
        self._raise_failure()

    def add_record(self, record: Record) -> None:
        assert not self._is_closing
        self._batch.records.append(record)
        self._raise_failure()

    async def committed(self) -> None:
        """Wait for the next regular commit: when it ends, all that was added is on disk."""
        batch = self._in_flight if self._batch.is_empty() else self._batch
        if batch is not None:
            await batch.ended.wait()
            if batch.failure:
                raise StoreError(batch.failure)

    async def flush(self) -> None:
        self._is_due.set()
        await self.committed()

    async def refresh(self) -> None:
        self._index.include(await asyncio.to_thread(self._index.look))

    async def aclose(self) -> None:
        self._is_closing = True
        self._is_due.set()
        # A caller that is cancelled here must not cancel the last commit.
        await asyncio.shield(self._committer)
        self._thread.shutdown(wait=False)
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure:
            raise StoreError(self._failure)

    async def _commit_regularly(self) -> None:
        # All commits happen in this task, one at a time, so no cancelled caller interrupts one.
        is_last = False
        while not is_last:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._commit_s):
                    await self._is_due.wait()
            self._is_due.clear()
            is_last = self._is_closing
            if not self._batch.is_empty():
                await self._commit()

    async def _commit(self) -> None:
        batch, self._batch = self._batch, _Batch()
        self._in_flight = batch
        loop = asyncio.get_running_loop()
        self._failure = batch.failure = await loop.run_in_executor(self._thread, self._write, batch)
        self._in_flight = None
        self._batch.take_back(batch)
        batch.ended.set()

    def _write(self, batch: _Batch) -> str:
        """Commit a batch and empty it as far as that succeeds. Returns the error, or ""."""
        try:
            if batch.samples:
                self._writer.commit(SAMPLES, samples_table(batch.samples))
                batch.samples.clear()
                batch.num_tokens = 0
            for folder in list(batch.scores):
                self._writer.commit(folder, scores_table(batch.scores[folder]))
                del batch.scores[folder]
            if batch.records:
                self._writer.commit(RECORDS, records_table(batch.records))
                batch.records.clear()
        except StoreError as error:
            return str(error)
        # Backends and strategies are plugins. If one of them puts a number where a text belongs,
        # the run must get an error, and this task must go on.
        except Exception as error:  # noqa: BLE001
            return f"a sample or record cannot be stored: {type(error).__name__}: {error}"
        return ""
