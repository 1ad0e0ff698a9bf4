"""Watches one engine actor: its counts, and whether it still answers.

An actor that does not answer for long has hung with its process: the watch kills it, and Ray starts
it again. The backend itself must find an engine that hangs inside a process that answers, because
only the backend sees tokens.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError, RayError

from nbest.orchestrator.cluster.engine.server import EngineServer
from nbest.orchestrator.engines.history import EngineHistory, EngineView

LOOK_S = 1.0


class EngineWatch:
    """The driver's watch over one engine."""

    def __init__(self, name: str, actor: ActorHandle[EngineServer], stall_s: float) -> None:
        self.name = name
        self._actor = actor
        self._stall_s = stall_s
        self._log = EngineHistory(name)
        self._known_life = ""  # the last life that this watch has reached
        self._served_life = ""  # the last life that a worker has reached
        self._is_reached = asyncio.Event()  # a worker has reached a life that this watch has not

    @property
    def view(self) -> EngineView:
        return self._log.view()

    def served(self, life: str) -> None:
        """Note that a worker has reached the engine in this life."""
        self._served_life = life
        if life != self._known_life:
            self._is_reached.set()

    async def run(self) -> None:
        """Look once a second; return when the actor will never come back."""
        while True:
            try:
                self._known_life = await self._reach()
                while True:
                    await self.look()
                    await asyncio.sleep(LOOK_S)
            except TimeoutError:
                ray.kill(self._actor, no_restart=False)
                self._known_life = self._served_life or self._known_life
            except ActorDiedError:
                return self._log.lost()
            except RayError:
                pass
            self._log.lost()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Ask the engine for its pulse once, and note it."""
        async with asyncio.timeout(self._stall_s):
            pulse = await self._actor.pulse.remote()
        if pulse is not None:
            self._log.saw(pulse, time.monotonic())

    async def _reach(self) -> str:
        """Wait for the process, however long Ray has no room for it.

        Once a worker has reached it, wait only as long as for any answer: it may have hung since.
        """
        if self._served_life == self._known_life:
            self._is_reached.clear()
        life: asyncio.Future[str] = asyncio.ensure_future(self._actor.life.remote())
        life.add_done_callback(_consume_failure)
        reached = asyncio.ensure_future(self._is_reached.wait())
        futures: set[asyncio.Future[Any]] = {life, reached}
        try:
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(self._stall_s):
                return await life
        finally:
            reached.cancel()


def _consume_failure(call: asyncio.Future[str]) -> None:
    """Retrieve the exception of a call: asyncio logs those that nobody retrieves."""
    if not call.cancelled():
        call.exception()
