"""Where a request goes: to the least loaded engine, or to the one that holds its prefix.

It knows loads and prefixes, and nothing of deaths, of turns or of time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace
from math import inf

from nbest.orchestrator.engines.pool_engine import PooledEngine
from nbest.orchestrator.types import Request

# Below this share of its slots an engine counts as idle. Engines decode a half-full batch almost as
# fast as one sample, so until then a free engine is worth more than a cached prefix.
BUSY_SHARE = 0.5

# How much fuller than the least loaded engine the one with the prefix may be and still be chosen:
# more would leave engines uneven, and the last samples of a query would wait for the fullest.
HOME_SLACK = 0.1

# How many prefixes to remember the engine of. More queries than this are never open at once.
PREFIXES = 65_536


class Placement:
    """Chooses among engines, and remembers which prefix went where."""

    def __init__(self, engines: Sequence[PooledEngine]) -> None:
        self._only = engines[0] if len(engines) == 1 else None
        self._least_loaded = LeastLoaded(engines)
        self._engine_of_prefix: OrderedDict[str, PooledEngine] = OrderedDict()

    def engine_for(self, request: Request) -> PooledEngine | None:
        """Choose the engine for a request; None where no engine has a free slot."""
        if self._only is not None:  # the same result at half the cost, for a run in one process
            return self._only if self._only.has_slot else None
        least_loaded = self._least_loaded()
        if least_loaded is None or least_loaded.load < BUSY_SHARE:
            return least_loaded
        home = self._engine_of_prefix.get(request.affinity)
        if home is None or not home.has_slot:
            return least_loaded
        return home if home.load <= least_loaded.load + HOME_SLACK else least_loaded

    def take(self, engine: PooledEngine, request: Request) -> None:
        """Note that the engine has the request from now on."""
        engine.in_flight.add(request.id)
        if self._only is None:
            self._engine_of_prefix[request.affinity] = engine
            if len(self._engine_of_prefix) > PREFIXES:
                self._engine_of_prefix.popitem(last=False)

    def note(self, engine: PooledEngine) -> None:
        """Note that the engine has less load, or takes requests again."""
        if self._only is None:
            self._least_loaded.note(engine)


# Entries for each engine, outdated ones included, before the heap is built anew.
MAX_ENTRIES = 8


class LeastLoaded:
    """Finds the engine with a free slot that has the least load; of equals, the first."""

    def __init__(self, engines: Sequence[PooledEngine]) -> None:
        self._engines = tuple(engines)
        self._place = {engine.name: place for place, engine in enumerate(engines)}
        self._heap: list[tuple[float, int]] = []  # loads, and places of engines
        self._noted: list[float] = []  # by place, the load of the entry that counts
        self._renew()

    def note(self, engine: PooledEngine) -> None:
        """Note that the engine has less load, or takes requests again."""
        place = self._place[engine.name]
        if engine.load < self._noted[place]:
            # Lower than the load is, so that the next calls of `note` need no entry.
            self._noted[place] = 0.0
            heappush(self._heap, (0.0, place))
            if len(self._heap) > MAX_ENTRIES * len(self._engines):
                self._renew()

    def __call__(self) -> PooledEngine | None:
        """Return the engine; None where no engine has a free slot."""
        engine = self._top()
        if engine is None:  # all slots are taken, or one has opened without a call of `note`
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
