"""Bounds the queries that are open at the same time, and the memory that they take.

An open query holds its samples until its strategy has chosen among them. Where choosing takes
longer than sampling, as with tests in a sandbox, samples would gather without end.
"""

from __future__ import annotations

import asyncio

from nbest.orchestrator.types import Sample

MAX_OPEN_QUERIES = 1024
MAX_OPEN_BYTES = 2 << 30  # of their samples, about

# What CPython takes for an int or a float and its place in a tuple, and for a sample around these.
_TOKEN_BYTES = 36
_LOGPROB_BYTES = 32
_SAMPLE_BYTES = 600


def bytes_of(sample: Sample) -> int:
    """About how much memory a sample takes."""
    top = 0 if sample.top_logprobs is None else len(sample.top_logprobs.packed)
    return (
        _SAMPLE_BYTES
        + len(sample.text)
        + _TOKEN_BYTES * len(sample.token_ids)
        + _LOGPROB_BYTES * len(sample.logprobs or ())
        + top
    )


class OpenQueries:
    """The open queries of a loop. One may always be open, however much it holds."""

    def __init__(self, most: int = MAX_OPEN_QUERIES, most_bytes: int = MAX_OPEN_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._count = 0
        self._bytes = 0
        self._has_room = asyncio.Event()
        self._has_room.set()

    async def open(self) -> OpenQuery:
        """Wait until there is room for one more query."""
        while not self._fits():
            self._has_room.clear()
            await self._has_room.wait()
        self._count += 1
        return OpenQuery(self)

    def _fits(self) -> bool:
        return self._count == 0 or (self._count < self._most and self._bytes < self._most_bytes)

    def hold(self, num_bytes: int) -> None:
        self._bytes += num_bytes

    def close(self, num_bytes: int) -> None:
        """Take out a query that has held so many bytes."""
        self._count -= 1
        self._bytes -= num_bytes
        self._has_room.set()


class OpenQuery:
    """One open query, and the samples that it holds."""

    def __init__(self, among: OpenQueries) -> None:
        self._among = among
        self._bytes = 0

    def hold(self, sample: Sample) -> None:
        """Count a sample that the query holds from now on."""
        num_bytes = bytes_of(sample)
        self._bytes += num_bytes
        self._among.hold(num_bytes)

    def close(self) -> None:
        self._among.close(self._bytes)
