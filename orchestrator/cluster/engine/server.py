"""One engine as a Ray actor.

Many requests travel in one call, and finished samples come back together: a call costs Ray much the
same whether it carries one sample or a hundred. `client.py` is the worker's side.

The class that Ray wraps is plain: tests use it without Ray.
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
from nbest.orchestrator.engines.batches import BatchedBackend, Result, is_batched_backend
from nbest.orchestrator.engines.meter import Meter, Pulse
from nbest.orchestrator.errors import BackendError, EngineDead, NotBegun
from nbest.orchestrator.protocols import Backend, BackendConfig
from nbest.orchestrator.types import Request, Sample

# How long finished samples wait for others before they are sent.
LINGER_S = 0.01

# A call that finds nothing finished returns after this, so that no call hangs for ever.
POLL_S = 5.0

# A client that has reserved the engine and has been silent for so long has died.
SILENCE_S = 6 * POLL_S

# A process whose engine has died ends after this; until then, callers may fetch the error.
EXIT_DELAY_S = 0.5


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
        self._waiting: list[tuple[str, Request]] = []  # by client, until a reservation ends
        self._is_leaving = False

    async def life(self) -> str:
        """Return the name of this life, new after every restart, even while the engine starts."""
        return self._life

    async def ready(self) -> str:
        """Start the engine if it has not been started; return the name of this life."""
        if self._is_leaving:
            await asyncio.Event().wait()  # the process ends while the caller waits
        async with self._starting:
            if self._backend is None:
                context = self._settings.open(self._name)
                self._backend = await self._resources.enter_async_context(context)
                self._meter = Meter()
                gc.freeze()  # imported modules stay: scanning them takes time
        return self._life

    async def pulse(self) -> Pulse | None:
        """Return the counts of the engine; None while it starts."""
        return None if self._backend is None else self._meter.pulse(self._life)

    async def submit(self, life: str, client: str, requests: Sequence[PackedRequests]) -> None:
        """Begin to answer; `collect` returns the samples. Raises NotBegun after a restart."""
        if self._backend is None or life != self._life:
            raise NotBegun("the engine has been restarted since")
        unpacked = unpack_requests(requests)
        if self._reservation.excludes(client):
            self._waiting.extend((client, request) for request in unpacked)
            return
        for _ in unpacked:  # now, and not when a task runs: a reservation may come before that
            self._meter.began()
        if is_batched_backend(self._backend):
            self._begin(self._serve_many(self._backend, client, unpacked))
        else:
            for request in unpacked:
                self._begin(self._serve(self._backend, client, request))

    async def abort(self, request_ids: Sequence[str]) -> None:
        if self._backend is not None:
            await asyncio.gather(*(self._backend.abort(i) for i in request_ids))

    async def collect(self, life: str, client: str) -> PackedResults:
        """Return what has finished for this client since its last call; wait for a first result."""
        self._require(life)
        call = self._collector[client] = object()
        news = self._news[client]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await news.wait()
                await asyncio.sleep(LINGER_S)
        if self._collector[client] is not call:
            # The client has died and called again: nobody would read the answer of this call.
            return pack_results([])
        news.clear()
        return pack_results(self._finished.pop(client, []))

    async def reserve(self, life: str, client: str) -> None:
        """Wait until the engine is idle, and reserve it for this client alone."""
        self._require(life)
        token = await self._reservation.hold(client)
        self._begin(self._release_in_silence(client, token))
        while self._meter.in_flight:
            self._emptied.clear()
            await self._emptied.wait()

    async def release(self, client: str) -> None:
        """End the reservation of this client."""
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
        unanswered = {request.id: request for request in requests}

        def done(request: Request, result: Result) -> None:
            del unanswered[request.id]
            self._note_end(client, request, result)

        why = "it never answered"
        try:
            await backend.generate_many(requests, done)
        # As in `_serve`.
        except Exception as error:  # noqa: BLE001
            why = f"{type(error).__name__}: {error}"
        for request in tuple(unanswered.values()):
            self._note_end(client, request, BackendError(why))

    async def _serve(self, backend: Backend, client: str, request: Request) -> None:
        result: Result
        try:
            result = await backend.generate(request)
        except BackendError as error:
            result = error
        # A backend may be a plugin: if it breaks its contract, its caller still gets an answer.
        except Exception as error:  # noqa: BLE001
            result = BackendError(f"{type(error).__name__}: {error}")
        self._note_end(client, request, result)

    def _note_end(self, client: str, request: Request, result: Result) -> None:
        self._meter.ended(result if isinstance(result, Sample) else None)
        if not self._meter.in_flight:
            self._emptied.set()
        self._answer(client, request.id, result)
        if isinstance(result, EngineDead):
            self._exit_soon(result)

    def _answer(self, client: str, request_id: str, result: Result) -> None:
        self._finished[client].append((request_id, result))
        self._news[client].set()

    def _exit_soon(self, death: EngineDead) -> None:
        """End the process soon: Ray starts it again, with a new engine in it."""
        if not self._is_leaving:
            self._is_leaving = True
            asyncio.get_running_loop().call_later(EXIT_DELAY_S, self._leave, 1)
        waiting, self._waiting = self._waiting, []
        for client, request in waiting:
            self._answer(client, request.id, NotBegun(str(death)))

    def _release(self, token: object) -> None:
        self._reservation.release(token)
        if self._backend is None or self._reservation.is_wanted:
            return
        waiting, self._waiting = self._waiting, []
        for client, request in waiting:
            self._meter.began()
            self._begin(self._serve(self._backend, client, request))

    async def _release_in_silence(self, client: str, token: object) -> None:
        """Release the engine if the client dies: a live one calls `collect` again and again."""
        call = None
        while self._reservation.token is token:
            await asyncio.sleep(SILENCE_S)
            if self._collector.get(client) is call:
                self._release(token)
            call = self._collector.get(client)
