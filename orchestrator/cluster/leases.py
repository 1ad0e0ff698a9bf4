"""Which worker has which query, and which query kills workers.

A worker that dies gives back the queries that it had not answered. A query that two workers have
died with is given to the next worker alone; if that dies too, the query is the cause, and it gets
no other. A batch that is decided together is not taken apart: there, deaths of the worker in a row
end the run.

It knows no Ray: a lease is a worker only by what it was given.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from nbest.orchestrator.types import Query, Record

# A worker has at least this many queries; more, if it answers more between two reports.
MIN_AHEAD = 8

# A query that so many workers have died with is given to the next one alone.
SUSPECT_AT = 2


@dataclass(slots=True, kw_only=True)
class Lease:
    """What one worker has been given."""

    queries: dict[str, Query] = field(default_factory=dict)  # not yet answered, by id
    ahead: int = MIN_AHEAD
    is_alone: bool = False  # it has one query, which is suspected, and gets no other meanwhile
    has_taken: bool = True  # whether the last batch is known to have reached it


class LeaseBook:
    """The queries that are left, and the workers that have died over them."""

    def __init__(self, queries: Iterable[Query], *, is_batch: bool = False) -> None:
        self._left = deque(queries)
        self._is_batch = is_batch  # all of them are decided together: they are one lease
        self._kills: Counter[str] = Counter()  # by query id
        self.deaths = 0  # of workers, so far

    def next_for(self, lease: Lease) -> list[Query]:
        """What to give a worker now, so that it has enough until it is heard of again."""
        if lease.is_alone and lease.queries:
            return []
        lease.is_alone = bool(self._left) and self._is_suspect(self._left[0])
        if lease.is_alone and lease.queries:  # first it ends what it has
            lease.is_alone = False
            return []
        if self._is_batch:
            room = len(self._left)
        else:
            room = 1 if lease.is_alone else lease.ahead - len(lease.queries)
        batch: list[Query] = []
        while self._left and len(batch) < room:
            if not lease.is_alone and self._is_suspect(self._left[0]):
                break
            batch.append(self._left.popleft())
        lease.queries.update((query.id, query) for query in batch)
        lease.has_taken = not batch
        return batch

    def is_second_hand(self, batch: Iterable[Query]) -> bool:
        """Whether a worker that died had one of these, and may have drawn samples of it."""
        return any(query.id in self._kills for query in batch)

    def answered(self, lease: Lease, records: Iterable[Record], queued: int) -> None:
        """The worker has ended with some queries, and has so many that it has not begun."""
        count = 0
        for record in records:
            lease.queries.pop(record.query_id, None)
            count += 1
        lease.ahead = len(lease.queries) - queued + max(MIN_AHEAD, 2 * count)

    def take_back(self, lease: Lease, *, has_died: bool = True) -> list[Query]:
        """The worker has died; returns the query that killed it, if that is plain by now.

        One that was killed because it did not answer may have been slow: that has to happen twice.
        """
        self.deaths += 1
        in_hand = list(lease.queries.values())
        if lease.has_taken:  # else it may have died without having seen them
            self._kills.update(lease.queries.keys())
        was_alone, lease.is_alone = lease.is_alone, False
        lease.queries.clear()
        if was_alone and lease.has_taken and (has_died or self._is_proven(in_hand[0])):
            return in_hand
        self._left.extendleft(reversed(in_hand))
        return []

    def _is_proven(self, query: Query) -> bool:
        return self._kills[query.id] > SUSPECT_AT + 1

    def _is_suspect(self, query: Query) -> bool:
        return not self._is_batch and self._kills.get(query.id, 0) >= SUSPECT_AT
