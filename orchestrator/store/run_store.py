"""Stores samples in a run directory, or in the memory of this process for a single question.

This module knows no engine, no strategy and no lock. `opening.py` opens a run for its driver,
`reader.py` reads one.
"""

from __future__ import annotations

from typing import Protocol

from nbest.orchestrator.files import StrPath
from nbest.orchestrator.store.format.schema import FINAL
from nbest.orchestrator.store.writer import FileStore
from nbest.orchestrator.types import Record, Sample


class RunStore(Protocol):
    """Takes the samples and the records of one process. It is a SampleStore.

    1. `get` returns what was there when the store was opened or last refreshed, and None for a
       sample that failed or was aborted: it may be drawn again. It may read a file; after
       `prepare` it need not.
    2. `add` and `add_record` do not wait. A record becomes durable after all that was added before.
    3. When `flush` or `aclose` returns, all that was added is durable.
    4. Once something could not be written, every call raises StoreError.
    """

    def get(self, query_id: str, index: int) -> Sample | None: ...

    async def prepare(self, query_id: str) -> None: ...

    def add(self, query_id: str, index: int, sample: Sample) -> None: ...

    def add_record(self, record: Record) -> None: ...

    async def flush(self) -> None: ...

    async def refresh(self) -> None: ...

    async def aclose(self) -> None: ...


async def open_store(path: StrPath | None) -> RunStore:
    """Open the store of the run at `path`, which `open_run` has made; None opens one in memory."""
    if path is None:
        return MemoryStore()
    return await FileStore.open(path)


class MemoryStore:
    """A `RunStore` in memory: samples last as long as the object."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, int], Sample] = {}

    def get(self, query_id: str, index: int) -> Sample | None:
        sample = self._samples.get((query_id, index))
        return sample if sample is not None and sample.status in FINAL else None

    async def prepare(self, query_id: str) -> None:
        """Do nothing: all samples are in memory."""

    def add(self, query_id: str, index: int, sample: Sample) -> None:
        if self.get(query_id, index) is None:
            self._samples[query_id, index] = sample

    def add_record(self, record: Record) -> None:
        """Do nothing: the caller of the run gets its records, and nobody reads them here."""

    async def flush(self) -> None:
        """Do nothing: memory has nothing to flush."""

    async def refresh(self) -> None:
        """Do nothing: no other process adds samples."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to write."""
