"""A worker's client of an engine: a `Backend` whose engine is a Ray actor.

Every worker has its own, which bears the worker's name. Requests of one turn of the event loop
travel together; one long call at a time fetches finished samples.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from ray.actor import ActorHandle
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError

from nbest.orchestrator.cluster.engine.server import EngineServer
from nbest.orchestrator.cluster.engine.wire import pack_requests, unpack_results
from nbest.orchestrator.engines.batches import Done, Result
from nbest.orchestrator.errors import BackendError, EngineDead, InputError, NotBegun, first_line
from nbest.orchestrator.types import Request, Sample

# How long to wait before an actor that is being started again is called again.
REVIVE_PAUSE_S = 0.5

# How many processes in a row may die while they start an engine.
MAX_STARTS = 3


class PendingCall:
    """The requests that one call of `generate_many` waits for."""

    def __init__(self, requests: Sequence[Request], done: Done) -> None:
        self.unanswered = {request.id: request for request in requests}
        self.is_complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._done = done

    def take(self, request_id: str, result: Result) -> None:
        if self.is_complete.done():
            return
        try:
            self._done(self.unanswered.pop(request_id), result)
        # Whatever `done` raises goes to the caller of `generate_many`, and to no other call.
        except Exception as error:  # noqa: BLE001
            self.is_complete.set_exception(error)
        else:
            if not self.unanswered:
                self.is_complete.set_result(None)


class RemoteEngine:
    """The engine behind one actor, as one worker uses it."""

    def __init__(self, actor: ActorHandle[EngineServer], client: str) -> None:
        self._actor = actor
        self._client = client
        self.life = ""  # of the engine, when it was reached last
        self._pending: dict[str, PendingCall] = {}  # by request id
        self._outbox: list[Request] = []
        self._to_abort: list[str] = []
        self._sending: asyncio.Task[None] | None = None
        self._collecting: asyncio.Task[None] | None = None

    async def revive(self) -> None:
        """Wait until the actor serves, the first time or again.

        Raises EngineDead when it never will, InputError when that is because of its settings.

        Waits for as long as Ray has no room for the process, but not for ever for processes that
        die while they start: MAX_STARTS of them are the most.
        """
        lives: set[str] = set()
        while True:
            try:
                life = await self._actor.life.remote()
                lives.add(life)
                self.life = await self._actor.ready.remote()
                return
            except ActorUnavailableError as error:
                if len(lives) >= MAX_STARTS:
                    why = f"it died {len(lives)} times while it started: {cause_of(error)}"
                    raise EngineDead(why) from error
                await asyncio.sleep(REVIVE_PAUSE_S)
            except RayError as error:
                if isinstance(error, RayTaskError) and isinstance(error.cause, InputError):
                    raise error.cause from None
                raise EngineDead(cause_of(error)) from error

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Reserve the engine for this worker alone while the context is open."""
        try:
            await self._actor.reserve.remote(self.life, self._client)
            yield
            await self._actor.release.remote(self._client)
        except RayError as error:
            raise EngineDead(cause_of(error)) from error

    async def generate(self, request: Request) -> Sample:
        results: list[Result] = []
        await self.generate_many([request], lambda _, result: results.append(result))
        if isinstance(results[0], BackendError):
            raise results[0]
        return results[0]

    async def generate_many(self, requests: Sequence[Request], done: Done) -> None:
        """Answer many requests with one future for all, as `BatchedBackend` demands."""
        if not requests:
            return
        call = PendingCall(requests, done)
        for request in requests:
            self._pending[request.id] = call
        self._outbox.extend(requests)
        self._wake()
        try:
            await call.is_complete
        finally:
            if call.unanswered:  # cancelled, or `done` has raised
                for request_id in call.unanswered:
                    self._pending.pop(request_id, None)
                self._to_abort.extend(call.unanswered)
                self._wake()

    async def abort(self, request_id: str) -> None:
        self._to_abort.append(request_id)
        self._wake()

    def _wake(self) -> None:
        """Send what has gathered at the next turn of the loop, and collect answers."""
        loop = asyncio.get_running_loop()
        if self._sending is None or self._sending.done():
            self._sending = loop.create_task(self._send())
        if self._collecting is None or self._collecting.done():
            self._collecting = loop.create_task(self._collect())

    async def _send(self) -> None:
        """Send aborts, then requests: the abort of an unsent request must find nothing begun."""
        while self._outbox or self._to_abort:
            requests: list[Request] = []
            try:
                if self._to_abort:
                    aborts, self._to_abort = self._to_abort, []
                    await self._actor.abort.remote(aborts)
                if self._outbox:
                    requests, self._outbox = self._outbox, []
                    packed = pack_requests(requests)
                    await self._actor.submit.remote(self.life, self._client, packed)
            # Ray's errors, and whatever comes of sending what a plugin has put into a request:
            # unseen, it would leave all that wait here waiting.
            except Exception as error:  # noqa: BLE001
                if isinstance(error, RayTaskError) and isinstance(error.cause, NotBegun):
                    self._fail(error.cause, [request.id for request in requests])
                self._die(error)

    async def _collect(self) -> None:
        while self._pending:
            try:
                results = unpack_results(await self._actor.collect.remote(self.life, self._client))
            except Exception as error:  # noqa: BLE001 - as in `_send`
                return self._die(error)
            for request_id, result in results:
                self._settle(request_id, result)

    def _settle(self, request_id: str, result: Result) -> None:
        call = self._pending.pop(request_id, None)
        if call is not None:
            call.take(request_id, result)

    def _die(self, error: Exception) -> None:
        """Fail all pending requests; those that were not sent cannot be the cause."""
        cause = cause_of(error)
        unsent, self._outbox = [request.id for request in self._outbox], []
        # Requests that may be the cause fail first: the pool judges a death by its first failure.
        begun = self._pending.keys() - set(unsent)
        self._fail(EngineDead(cause), [i for i in self._pending if i in begun])
        self._fail(NotBegun(cause), unsent)

    def _fail(self, death: EngineDead, request_ids: Sequence[str]) -> None:
        for request_id in request_ids:
            self._settle(request_id, death)


def cause_of(error: Exception) -> str:
    """Return one line that says what happened, without Ray's remote traceback."""
    inner = error.cause if isinstance(error, RayTaskError) else error
    first = first_line(inner)
    # When an actor cannot be made, Ray's first line says so and its last one says why.
    return str(inner).strip().splitlines()[-1].strip() if "creation task" in first else first
