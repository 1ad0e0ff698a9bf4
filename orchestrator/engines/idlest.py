"""Which engine has the least load: cheap to ask for, however many engines there are.

It keeps a heap with one entry that counts for every engine that takes requests: a load no higher
than the engine's own. An entry that is too low is corrected when it comes to the top, so only those
who lower a load, or open an engine again, have to say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace
from math import inf

from nbest.orchestrator.engines.pool_engine import PooledEngine

# Entries for each engine, outdated ones included, before the heap is made anew.
MAX_ENTRIES = 8


class Idlest:
    """The engine with a free slot that has the least load; of equals, the first."""

    def __init__(self, engines: Sequence[PooledEngine]) -> None:
        self._engines = tuple(engines)
        self._place = {engine.name: place for place, engine in enumerate(engines)}
        self._heap: list[tuple[float, int]] = []  # loads, and places of engines
        self._noted: list[float] = []  # by place, the load of the entry that counts
        self._renew()

    def note(self, engine: PooledEngine) -> None:
        """The load of this engine has become less, or it takes requests again."""
        place = self._place[engine.name]
        if engine.load < self._noted[place]:
            # Lower than it is, so that the next times need no entry.
            self._noted[place] = 0.0
            heappush(self._heap, (0.0, place))
            if len(self._heap) > MAX_ENTRIES * len(self._engines):
                self._renew()

    def __call__(self) -> PooledEngine | None:
        """None where no engine has a free slot."""
        engine = self._top()
        if engine is None:  # all are taken, or one has opened and nobody has said so
            self._renew()
            engine = self._top()
        return engine

    def _top(self) -> PooledEngine | None:
        while self._heap:
            noted, place = self._heap[0]
            engine = self._engines[place]
            if noted != self._noted[place]:
                heappop(self._heap)
            elif not engine.has_slot:
                heappop(self._heap)
                self._noted[place] = inf
            elif engine.load != noted:
                self._noted[place] = engine.load
                heapreplace(self._heap, (engine.load, place))
            else:
                return engine
        return None

    def _renew(self) -> None:
        free = [(e.load, place) for place, e in enumerate(self._engines) if e.has_slot]
        self._noted = [inf] * len(self._engines)
        for load, place in free:
            self._noted[place] = load
        self._heap = free
        heapify(self._heap)
