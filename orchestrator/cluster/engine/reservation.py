"""Reserves an engine for one client at a time, in turn.

Probes need that: whether a query kills engines shows only where nothing else is in flight.
"""

from __future__ import annotations

import asyncio


class Reservation:
    """The client that has the engine, and the clients that wait for it."""

    def __init__(self) -> None:
        self.holder = ""  # the client that has it, or waits for it to become empty
        self._turn = asyncio.Lock()
        self._num_clients = 0  # that have or want the engine
        self.token = object()  # of the present reservation

    @property
    def is_wanted(self) -> bool:
        """Whether any client has the engine or waits for it."""
        return self._num_clients > 0

    def excludes(self, client: str) -> bool:
        """Tell whether requests of this client have to wait."""
        return self.is_wanted and client != self.holder

    async def hold(self, client: str) -> object:
        """Wait for the turn of a client; return the token for `release`."""
        self._num_clients += 1
        try:
            await self._turn.acquire()
        except BaseException:
            self._num_clients -= 1
            raise
        self.holder = client
        self.token = object()
        return self.token

    def release(self, token: object) -> None:
        """End the reservation of this token; do nothing if it is over already."""
        if token is self.token:
            self.token = object()
            self.holder = ""
            self._num_clients -= 1
            self._turn.release()
