"""Where samples survive: a run directory, or the memory of this process for a single question.

It knows no engine, no strategy and no lock. `store_run.py` opens a run for its driver,
`store_read.py` reads one.
"""

from __future__ import annotations

from typing import Protocol

from nbest.orchestrator.store.format.files import StrPath
from nbest.orchestrator.store.format.schema import FINAL
from nbest.orchestrator.store.writer import FileStore
from nbest.orchestrator.types import Record, Sample


class RunStore(Protocol):
    """Takes the samples and the records of one process. It is a SampleStore.

    1. `get` finds what was there when the store was opened or last refreshed. A sample that failed
       or was aborted is not found: it may be drawn again.
    2. `add` and `add_record` do not wait. A record becomes durable after all that was added before.
    3. When `flush` or `aclose` returns, all that was added is durable.
    4. Once something could not be written, every call says so with a StoreError.
    """

    def get(self, query_id: str, index: int) -> Sample | None: ...

    def add(self, query_id: str, index: int, sample: Sample) -> None: ...

    def add_record(self, record: Record) -> None: ...

    async def flush(self) -> None: ...

    async def refresh(self) -> None: ...

    async def aclose(self) -> None: ...


async def open_store(path: StrPath | None) -> RunStore:
    """The store of the run at `path`, which `open_run` has made; None: one in memory."""
    if path is None:
        return MemoryStore()
    return await FileStore.open(path)


class MemoryStore:
    """Keeps samples for as long as it lives."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, int], Sample] = {}

    def get(self, query_id: str, index: int) -> Sample | None:
        sample = self._samples.get((query_id, index))
        return sample if sample is not None and sample.status in FINAL else None

    def add(self, query_id: str, index: int, sample: Sample) -> None:
        if self.get(query_id, index) is None:
            self._samples[query_id, index] = sample

    def add_record(self, record: Record) -> None:
        """A record goes to whoever waits for the run; nobody will ask for it here."""

    async def flush(self) -> None:
        """Memory is as durable as it gets."""

    async def refresh(self) -> None:
        """Nobody else adds anything."""

    async def aclose(self) -> None:
        """Nothing to write."""
