"""One engine as a Ray actor, and what stands for it in a worker.

Many requests travel in one call, and finished samples come back together a few times a second: a
call costs Ray much the same whether it carries one sample or a hundred.

The class that Ray wraps is plain: tests use it bare.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ray.actor import ActorHandle
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError

from orchestrator.errors import BackendError, EngineDead
from orchestrator.types import Backend, BackendConfig, Request, Sample
from orchestrator.wire import (
    Finished,
    PackedRequests,
    PackedResults,
    pack_requests,
    pack_results,
    unpack_requests,
    unpack_results,
)

# How long finished samples wait for others before they travel.
LINGER_S = 0.01

# A call that finds nothing finished returns after this, so that no call hangs for ever.
POLL_S = 5.0

# How long an engine that is gone may answer "not yet" before it is taken for dead.
REVIVE_PAUSE_S = 0.5

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
        self._incarnation = uuid.uuid4().hex
        self._resources = contextlib.AsyncExitStack()
        self._starting = asyncio.Lock()
        self._backend: Backend | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._finished: defaultdict[str, list[Finished]] = defaultdict(list)
        self._news: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._collector: dict[str, object] = {}  # by client, its last call of `collect`
        self._is_leaving = False

    async def ready(self) -> str:
        """Start the engine if that was not done; returns the name of this incarnation."""
        if self._is_leaving:
            await asyncio.Event().wait()  # the end of the process is the answer
        async with self._starting:
            if self._backend is None:
                context = self._settings.open(self._name)
                self._backend = await self._resources.enter_async_context(context)
        return self._incarnation

    async def submit(
        self, incarnation: str, client: str, requests: Sequence[PackedRequests]
    ) -> None:
        """Begin to answer; the samples are for `collect`."""
        backend = self._live(incarnation)
        for request in unpack_requests(requests):
            self._begin(self._serve(backend, client, request))

    async def abort(self, request_ids: Sequence[str]) -> None:
        if self._backend is not None:
            await asyncio.gather(*(self._backend.abort(i) for i in request_ids))

    async def collect(self, incarnation: str, client: str) -> PackedResults:
        """What has finished for this client since it last asked; waits for something to."""
        self._live(incarnation)
        call = self._collector[client] = object()
        news = self._news[client]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await news.wait()
                await asyncio.sleep(LINGER_S)
        if self._collector[client] is not call:
            return pack_results(
                []
            )  # the client has died and is back: nobody would hear this call's answer
        news.clear()
        return pack_results(self._finished.pop(client, []))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._resources.aclose()

    def _live(self, incarnation: str) -> Backend:
        if self._backend is None or incarnation != self._incarnation:
            raise EngineDead("the engine has been restarted since")
        return self._backend

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, backend: Backend, client: str, request: Request) -> None:
        result: Sample | BackendError
        try:
            result = await backend.generate(request)
        except BackendError as error:
            result = error
        # A backend may be anybody's: if it breaks its contract, its caller still gets an answer.
        except Exception as error:  # noqa: BLE001
            result = BackendError(f"{type(error).__name__}: {error}")
        self._finished[client].append((request.id, result))
        self._news[client].set()
        if isinstance(result, EngineDead):
            # Ray starts a process that has ended again, with a new engine in it.
            self._is_leaving = True
            asyncio.get_running_loop().call_later(LAST_WORDS_S, self._leave, 1)


class RemoteEngine:
    """A `Backend` whose engine is an actor. Every worker has its own, named after itself."""

    def __init__(self, actor: ActorHandle[EngineServer], client: str) -> None:
        self._actor = actor
        self._client = client
        self._incarnation = ""
        self._pending: dict[str, asyncio.Future[Sample]] = {}
        self._outbox: list[Request] = []
        self._to_abort: list[str] = []
        self._sending: asyncio.Task[None] | None = None
        self._collecting: asyncio.Task[None] | None = None

    async def revive(self) -> None:
        """Wait until the actor serves, the first time or again; EngineDead when it never will."""
        while True:
            try:
                self._incarnation = await self._actor.ready.remote()
                return
            except ActorUnavailableError:
                await asyncio.sleep(REVIVE_PAUSE_S)
            except RayError as error:
                raise EngineDead(cause_of(error)) from error

    async def generate(self, request: Request) -> Sample:
        answer: asyncio.Future[Sample] = asyncio.get_running_loop().create_future()
        self._pending[request.id] = answer
        self._outbox.append(request)
        self._wake()
        try:
            return await answer
        except asyncio.CancelledError:
            self._to_abort.append(request.id)
            self._wake()
            raise
        finally:
            self._pending.pop(request.id, None)

    async def abort(self, request_id: str) -> None:
        self._to_abort.append(request_id)
        self._wake()

    def _wake(self) -> None:
        """Send what has gathered by the time the loop comes round, and listen for answers."""
        loop = asyncio.get_running_loop()
        if self._sending is None or self._sending.done():
            self._sending = loop.create_task(self._send())
        if self._collecting is None or self._collecting.done():
            self._collecting = loop.create_task(self._collect())

    async def _send(self) -> None:
        while self._outbox or self._to_abort:
            requests, self._outbox = self._outbox, []
            aborts, self._to_abort = self._to_abort, []
            try:
                if requests:
                    packed = pack_requests(requests)
                    await self._actor.submit.remote(self._incarnation, self._client, packed)
                if aborts:
                    await self._actor.abort.remote(aborts)
            except RayError as error:
                self._fail(EngineDead(cause_of(error)))

    async def _collect(self) -> None:
        while self._pending:
            try:
                finished = await self._actor.collect.remote(self._incarnation, self._client)
            except RayError as error:
                return self._fail(EngineDead(cause_of(error)))
            for request_id, result in unpack_results(finished):
                self._settle(request_id, result)

    def _settle(self, request_id: str, result: Sample | BackendError) -> None:
        answer = self._pending.pop(request_id, None)
        if answer is None or answer.done():
            return
        if isinstance(result, Sample):
            answer.set_result(result)
        else:
            answer.set_exception(result)

    def _fail(self, death: EngineDead) -> None:
        self._outbox.clear()
        for request_id in tuple(self._pending):
            self._settle(request_id, death)


def cause_of(error: RayError) -> str:
    """One line that says what really happened, without Ray's remote traceback."""
    inner = error.cause if isinstance(error, RayTaskError) else error
    return (str(inner).strip() or type(inner).__name__).splitlines()[0]
