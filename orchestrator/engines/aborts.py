"""Remembers aborts that arrive before their request, so that they win all the same.

Every live backend needs this (point 3 of the `Backend` contract): over a network, an abort may
overtake the request that it names. No id is used twice (`ids.py`), so keeping the newest is enough.
"""

from __future__ import annotations

from collections import OrderedDict

from nbest.orchestrator.types import Request, Sample, Status


class EarlyAborts:
    """The ids that were aborted while no request of that id was known."""

    def __init__(self, capacity: int = 65_536) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._capacity = capacity

    def add(self, request_id: str) -> None:
        self._ids[request_id] = None
        if len(self._ids) > self._capacity:
            self._ids.popitem(last=False)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._ids

    def take(self, request_id: str) -> bool:
        """Forget the id; returns whether it had been aborted."""
        if request_id not in self._ids:
            return False
        del self._ids[request_id]
        return True


def cancelled_sample(request: Request) -> Sample:
    """The sample of a request that was aborted before it cost anything."""
    return Sample(id=request.id, text="", status=Status.CANCELLED)
