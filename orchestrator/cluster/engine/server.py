"""One engine as a Ray actor.

Many requests travel in one call, and finished samples come back together a few times a second: a
call costs Ray much the same whether it carries one sample or a hundred. What stands for it in a
worker is `cluster_remote.py`.

The class that Ray wraps is plain: tests use it bare.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import uuid
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from nbest.orchestrator.cluster.engine.reservation import Reservation
from nbest.orchestrator.cluster.engine.wire import (
    Finished,
    PackedRequests,
    PackedResults,
    pack_results,
    unpack_requests,
)
from nbest.orchestrator.engines.batches import BatchedBackend, Result
from nbest.orchestrator.engines.meter import Meter, Pulse
from nbest.orchestrator.errors import BackendError, EngineDead, NotBegun
from nbest.orchestrator.protocols import Backend, BackendConfig
from nbest.orchestrator.types import Request, Sample

# How long finished samples wait for others before they travel.
LINGER_S = 0.01

# A call that finds nothing finished returns after this, so that no call hangs for ever.
POLL_S = 5.0

# A client that has the engine for itself and has not been heard of for so long has died.
SILENCE_S = 6 * POLL_S

# An engine whose core has died leaves its process; before that, callers may fetch the bad news.
LAST_WORDS_S = 0.5


class EngineServer:
    """A live backend behind calls that carry many requests each."""

    def __init__(
        self, settings: BackendConfig, name: str = "", leave: Callable[[int], None] = os._exit
    ) -> None:
        self._settings = settings
        self._name = name
        self._leave = leave
        self._life = uuid.uuid4().hex
        self._resources = contextlib.AsyncExitStack()
        self._starting = asyncio.Lock()
        self._backend: Backend | None = None
        self._meter = Meter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._emptied = asyncio.Event()
        self._finished: defaultdict[str, list[Finished]] = defaultdict(list)
        self._news: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._collector: dict[str, object] = {}  # by client, its last call of `collect`
        self._reservation = Reservation()
        self._held: list[tuple[str, Request]] = []  # with their clients, while another has it
        self._is_leaving = False

    async def life(self) -> str:
        """The name of this life: another after every restart. Answers while the engine starts."""
        return self._life

    async def ready(self) -> str:
        """Start the engine if that was not done; returns the name of this life."""
        if self._is_leaving:
            await asyncio.Event().wait()  # the end of the process is the answer
        async with self._starting:
            if self._backend is None:
                context = self._settings.open(self._name)
                self._backend = await self._resources.enter_async_context(context)
                self._meter = Meter()
                gc.freeze()  # what is imported stays: looking through it takes time
        return self._life

    async def pulse(self) -> Pulse | None:
        """How the engine is doing; None while it starts."""
        return None if self._backend is None else self._meter.pulse(self._life)

    async def submit(self, life: str, client: str, requests: Sequence[PackedRequests]) -> None:
        """Begin to answer; the samples are for `collect`. NotBegun if it is another life by now."""
        if self._backend is None or life != self._life:
            raise NotBegun("the engine has been restarted since")
        unpacked = unpack_requests(requests)
        if self._reservation.excludes(client):
            self._held.extend((client, request) for request in unpacked)
            return
        for _ in unpacked:  # now, and not when a task runs: a reservation may come before that
            self._meter.began()
        if isinstance(self._backend, BatchedBackend):
            self._begin(self._serve_many(self._backend, client, unpacked))
        else:
            for request in unpacked:
                self._begin(self._serve(self._backend, client, request))

    async def abort(self, request_ids: Sequence[str]) -> None:
        if self._backend is not None:
            await asyncio.gather(*(self._backend.abort(i) for i in request_ids))

    async def collect(self, life: str, client: str) -> PackedResults:
        """What has finished for this client since it last asked; waits for something to."""
        self._require(life)
        call = self._collector[client] = object()
        news = self._news[client]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await news.wait()
                await asyncio.sleep(LINGER_S)
        if self._collector[client] is not call:
            # The client has died and is back: nobody would hear this call's answer.
            return pack_results([])
        news.clear()
        return pack_results(self._finished.pop(client, []))

    async def reserve(self, life: str, client: str) -> None:
        """Wait until the engine works on nothing; from then on it does so for this client alone."""
        self._require(life)
        token = await self._reservation.hold(client)
        self._begin(self._release_in_silence(client, token))
        while self._meter.in_flight:
            self._emptied.clear()
            await self._emptied.wait()

    async def release(self, client: str) -> None:
        """End the time that `reserve` began."""
        if self._reservation.holder == client:
            self._release(self._reservation.token)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._resources.aclose()

    def _require(self, life: str) -> None:
        if self._backend is None or life != self._life:
            raise EngineDead("the engine has been restarted since")

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_many(
        self, backend: BatchedBackend, client: str, requests: Sequence[Request]
    ) -> None:
        left = {request.id: request for request in requests}

        def done(request: Request, result: Result) -> None:
            del left[request.id]
            self._note_end(client, request, result)

        why = "it never answered"
        try:
            await backend.generate_many(requests, done)
        # As in `_serve`.
        except Exception as error:  # noqa: BLE001
            why = f"{type(error).__name__}: {error}"
        for request in tuple(left.values()):
            self._note_end(client, request, BackendError(why))

    async def _serve(self, backend: Backend, client: str, request: Request) -> None:
        result: Result
        try:
            result = await backend.generate(request)
        except BackendError as error:
            result = error
        # A backend may be anybody's: if it breaks its contract, its caller still gets an answer.
        except Exception as error:  # noqa: BLE001
            result = BackendError(f"{type(error).__name__}: {error}")
        self._note_end(client, request, result)

    def _note_end(self, client: str, request: Request, result: Result) -> None:
        self._meter.ended(result if isinstance(result, Sample) else None)
        if not self._meter.in_flight:
            self._emptied.set()
        self._answer(client, request.id, result)
        if isinstance(result, EngineDead):
            self._go(result)

    def _answer(self, client: str, request_id: str, result: Result) -> None:
        self._finished[client].append((request_id, result))
        self._news[client].set()

    def _go(self, death: EngineDead) -> None:
        """Leave the process: Ray starts it again, with a new engine in it."""
        if not self._is_leaving:
            self._is_leaving = True
            asyncio.get_running_loop().call_later(LAST_WORDS_S, self._leave, 1)
        held, self._held = self._held, []
        for client, request in held:
            self._answer(client, request.id, NotBegun(str(death)))

    def _release(self, token: object) -> None:
        self._reservation.release(token)
        if self._backend is None or self._reservation.is_wanted:
            return
        held, self._held = self._held, []
        for client, request in held:
            self._meter.began()
            self._begin(self._serve(self._backend, client, request))

    async def _release_in_silence(self, client: str, token: object) -> None:
        """Release if the client dies: one that lives calls `collect` again and again."""
        call = None
        while self._reservation.token is token:
            await asyncio.sleep(SILENCE_S)
            if self._collector.get(client) is call:
                self._release(token)
            call = self._collector.get(client)
