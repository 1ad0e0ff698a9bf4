"""Watches one engine actor: how it is doing, and whether it still answers.

An actor that does not answer for long has hung, process and all: it is killed, and Ray starts it
again. An engine that hangs inside a process that answers is the backend's own to find, for only it
sees tokens.
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
    """The driver's eye on one engine."""

    def __init__(self, name: str, actor: ActorHandle[EngineServer], stall_s: float) -> None:
        self.name = name
        self._actor = actor
        self._stall_s = stall_s
        self._log = EngineHistory(name)
        self._past = ""  # the last life that is known to this watch; a process that waits is none
        self._reached = ""  # the last life that a worker has reached
        self._is_reached = asyncio.Event()  # one that is not known yet

    @property
    def view(self) -> EngineView:
        return self._log.view()

    def served(self, life: str) -> None:
        """A worker has reached the engine in this life."""
        self._reached = life
        if life != self._past:
            self._is_reached.set()

    async def run(self) -> None:
        """Look once a second; returns when there will never be anything to see again."""
        while True:
            try:
                self._past = await self._reach()
                while True:
                    await self.look()
                    await asyncio.sleep(LOOK_S)
            except TimeoutError:
                ray.kill(self._actor, no_restart=False)
                self._past = self._reached or self._past
            except ActorDiedError:
                return self._log.lost()
            except RayError:
                pass
            self._log.lost()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Look once more."""
        async with asyncio.timeout(self._stall_s):
            pulse = await self._actor.pulse.remote()
        if pulse is not None:
            self._log.saw(pulse, time.monotonic())

    async def _reach(self) -> str:
        """Wait for the process, however long Ray has no room for it.

        But no longer than for any answer once a worker has reached it: it may have hung since.
        """
        if self._reached == self._past:
            self._is_reached.clear()
        life: asyncio.Future[str] = asyncio.ensure_future(self._actor.life.remote())
        life.add_done_callback(_seen)
        reached = asyncio.ensure_future(self._is_reached.wait())
        either: set[asyncio.Future[Any]] = {life, reached}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(self._stall_s):
                return await life
        finally:
            reached.cancel()


def _seen(call: asyncio.Future[str]) -> None:
    """Whoever waited for it may have gone: its failure is no news then."""
    if not call.cancelled():
        call.exception()
