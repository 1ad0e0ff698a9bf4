"""Tracks which worker has which query, and which query kills workers.

A worker that dies gives back the queries that it had not answered. A query that two workers have
died with is a suspect: the next worker gets it alone. If that dies too, the query is the cause, and
no other worker gets it. A batch that is decided together is not split: there, deaths of the worker
in a row end the run.

This module knows no Ray: it sees of a worker only its lease.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from nbest.orchestrator.types import Query, Record

# A worker has at least this many queries; more, if it answers more between two reports.
MIN_AHEAD = 8

# A query that this many workers have died with is leased to the next one alone.
SUSPECT_AT = 2


@dataclass(slots=True, kw_only=True)
class Lease:
    """The queries that one worker has."""

    queries: dict[str, Query] = field(default_factory=dict)  # not yet answered, by id
    ahead: int = MIN_AHEAD
    is_alone: bool = False  # it has one query, a suspect, and gets no other meanwhile
    has_taken: bool = True  # whether the last batch is known to have reached it


class LeaseBook:
    """The queries that no worker has, and how many workers died with each query."""

    def __init__(self, queries: Iterable[Query], *, is_batch: bool = False) -> None:
        self._queue = deque(queries)
        self._is_batch = is_batch  # the queries are decided together, as one lease
        self._kills: Counter[str] = Counter()  # by query id
        self.deaths = 0  # of workers, so far

    def next_for(self, lease: Lease) -> list[Query]:
        """Lease a worker enough queries until its next report, and return the new ones."""
        if lease.is_alone and lease.queries:
            return []
        lease.is_alone = bool(self._queue) and self._is_suspect(self._queue[0])
        if lease.is_alone and lease.queries:  # it answers what it has first
            lease.is_alone = False
            return []
        if self._is_batch:
            room = len(self._queue)
        else:
            room = 1 if lease.is_alone else lease.ahead - len(lease.queries)
        batch: list[Query] = []
        while self._queue and len(batch) < room:
            if not lease.is_alone and self._is_suspect(self._queue[0]):
                break
            batch.append(self._queue.popleft())
        lease.queries.update((query.id, query) for query in batch)
        lease.has_taken = not batch
        return batch

    def was_leased_before(self, batch: Iterable[Query]) -> bool:
        """Tell whether a worker that died had one of these, and may have drawn samples of it."""
        return any(query.id in self._kills for query in batch)

    def answered(self, lease: Lease, records: Iterable[Record], queued: int) -> None:
        """Note the records of a worker, and how many of its queries it has not begun."""
        count = 0
        for record in records:
            lease.queries.pop(record.query_id, None)
            count += 1
        lease.ahead = len(lease.queries) - queued + max(MIN_AHEAD, 2 * count)

    def take_back(self, lease: Lease, *, has_died: bool = True) -> list[Query]:
        """Take back the queries of a dead worker; return the one that killed it, if that is proven.

        A worker that the driver killed because it was silent may have been slow. So it takes two
        silent workers, each alone with the query, to prove that.
        """
        self.deaths += 1
        unanswered = list(lease.queries.values())
        if lease.has_taken:  # else the queries may not have reached it
            self._kills.update(lease.queries.keys())
        was_alone, lease.is_alone = lease.is_alone, False
        lease.queries.clear()
        if was_alone and lease.has_taken and (has_died or self._is_proven(unanswered[0])):
            return unanswered
        self._queue.extendleft(reversed(unanswered))
        return []

    def _is_proven(self, query: Query) -> bool:
        return self._kills[query.id] > SUSPECT_AT + 1

    def _is_suspect(self, query: Query) -> bool:
        return not self._is_batch and self._kills.get(query.id, 0) >= SUSPECT_AT
