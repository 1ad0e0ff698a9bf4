"""Lets one client of an engine have it for itself for a while, in turn.

For probes: whether a query kills engines shows only where nothing else is in flight.
"""

from __future__ import annotations

import asyncio


class Reservation:
    """Who has the engine, and who waits for it."""

    def __init__(self) -> None:
        self.holder = ""  # the client that has it, or waits for it to become empty
        self._turn = asyncio.Lock()
        self._wanted = 0  # by how many, the holder included
        self.token = object()  # of the present holder's time

    @property
    def is_wanted(self) -> bool:
        """Whether anybody has the engine or waits for it."""
        return self._wanted > 0

    def excludes(self, client: str) -> bool:
        """Whether what this client sends has to wait."""
        return self.is_wanted and client != self.holder

    async def hold(self, client: str) -> object:
        """Wait for the turn of a client; returns what `release` wants to see."""
        self._wanted += 1
        try:
            await self._turn.acquire()
        except BaseException:
            self._wanted -= 1
            raise
        self.holder = client
        self.token = object()
        return self.token

    def release(self, token: object) -> None:
        """End the holder's time; does nothing if that is over already."""
        if token is self.token:
            self.token = object()
            self.holder = ""
            self._wanted -= 1
            self._turn.release()
