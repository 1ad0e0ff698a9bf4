"""A live connection to an OpenAI-compatible server: one request, one sample.

Every sample is a request of its own: so it has its own seed, its own abort and its own count of
tokens. A server that caches prefixes computes the prompt once all the same.

It knows what to do about a failure; what a request and a reply look like is in rooms of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from nbest.model_backend.openai.connection import Connection
from nbest.model_backend.openai.failures import Broken, Busy, Denied, Unreachable, used_up_for
from nbest.model_backend.openai.replies import Draft, sample_of
from nbest.model_backend.openai.requests import Server, body_of, path_of
from nbest.model_backend.openai.throttle import Throttle
from nbest.orchestrator.engines.aborts import EarlyAborts, cancelled_sample
from nbest.orchestrator.errors import (
    BackendError,
    EngineDead,
    NbestError,
    NotBegun,
    Overloaded,
    RequestRejected,
    first_line,
)
from nbest.orchestrator.reasoning import Tags, with_thought_apart
from nbest.orchestrator.types import Request, Sample

TRIES = 3  # at a request whose connection or reply broke
PAUSE_S = 0.5  # before the second try; twice as long before the third
REFUSALS = 6  # "later" this often in a row is an overloaded engine, which rests
LONGEST_REFUSED_S = 600.0  # of one request, after which it has failed
LOOK_AGAIN_S = 1.0  # at a server that is away


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How requests are put to a server."""

    model: str
    server: Server
    is_seeded: bool = True
    is_streamed: bool = True
    has_tags: bool = True  # thoughts in the text are told apart by their tags
    tags: Tags | None = None  # ... by these, too
    more: Mapping[str, Any] | None = None  # further fields of each body


class EndpointEngine:
    """A live connection to a server."""

    def __init__(
        self,
        connection: Connection,
        manner: Manner,
        throttle: Throttle,
        name: str = "",
        *,
        patience_s: float = 60.0,
        silence_s: float = 600.0,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._connection = connection
        self._manner = manner
        self._throttle = throttle
        self._name = name
        self._patience_s = patience_s
        self._silence_s = silence_s  # without anything that was generated
        self._pause = pause
        self._early = EarlyAborts()
        self._live: dict[str, asyncio.Task[Sample]] = {}
        self._aborted: set[str] = set()
        self._looking: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def in_flight(self) -> tuple[str, ...]:
        """The ids of the requests that are being answered."""
        return tuple(self._live)

    async def generate(self, request: Request) -> Sample:
        if self._early.take(request.id):
            return cancelled_sample(request)
        if self._is_closed:
            raise NotBegun("the connection has been closed")
        draft = [Draft(request.params)]  # the one that is under way: a new one at each try
        started_s = time.monotonic()
        drawing = asyncio.ensure_future(self._draw(request, draft))
        self._live[request.id] = drawing
        try:
            await asyncio.wait([drawing])
        finally:
            del self._live[request.id]
            was_aborted = request.id in self._aborted
            self._aborted.discard(request.id)
            await _end(drawing)
        if drawing.cancelled() and was_aborted:
            total_s = time.monotonic() - started_s
            cut = sample_of(request, draft[0], total_s, self._name, is_cancelled=True)
            return self._parted(cut)
        if drawing.cancelled():
            raise NotBegun("the connection was closed")
        return drawing.result()

    async def abort(self, request_id: str) -> None:
        drawing = self._live.get(request_id)
        if drawing is None:
            self._early.add(request_id)
        elif not drawing.done():
            self._aborted.add(request_id)
            drawing.cancel()

    async def close(self) -> None:
        """End all that is under way: its callers hear that this connection is gone.

        Nothing else would wake those that wait for a reply.
        """
        self._is_closed = True
        ending = [*self._live.values(), *([self._looking] if self._looking else [])]
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)

    async def _draw(self, request: Request, draft: list[Draft]) -> Sample:
        """Try until there is a sample, or until it is clear that there will be none."""
        if request.response is not None:
            raise RequestRejected("this model generates: it rates no responses")
        breaks: list[Broken] = []
        refusals, first_s = 0, time.monotonic()
        while True:
            async with self._throttle.place():
                began_s = time.monotonic()
                draft[0] = Draft(request.params)
                try:
                    return await self._try(request, draft[0])
                except Busy as busy:
                    refusals += 1
                    self._throttle.refused(began_s, busy.wait_s)
                    if time.monotonic() - first_s > LONGEST_REFUSED_S:
                        raise BackendError(f"{busy} ({refusals} times)") from busy
                    if refusals >= REFUSALS:
                        raise Overloaded(first_line(busy)) from busy
                except Broken as broken:
                    breaks.append(broken)
                    await self._after_break(breaks)
                except Denied as denied:
                    # No query is the cause; the engine is opened again, and that says the same.
                    raise NotBegun(first_line(denied)) from denied

    async def _try(self, request: Request, draft: Draft) -> Sample:
        started_s = time.monotonic()
        manner = self._manner
        path = path_of(request)
        body = body_of(
            request,
            manner.model,
            manner.server,
            is_seeded=manner.is_seeded,
            is_streamed=manner.is_streamed,
            more=manner.more,
        )
        if manner.is_streamed:
            await self._stream(path, body, draft, started_s)
        else:
            reply, headers = await self._connection.whole(path, body)
            draft.add(reply, time.monotonic() - started_s)
            self._note_headers(headers)
        if draft.finish is None and not draft.has_fallen:
            raise Broken("the reply ended before the sample did")
        sample = sample_of(request, draft, time.monotonic() - started_s, self._name)
        self._throttle.succeeded()
        return self._parted(sample)

    async def _stream(
        self, path: str, body: Mapping[str, Any], draft: Draft, started_s: float
    ) -> None:
        pieces = self._connection.pieces(path, body, self._note_headers)
        loop = asyncio.get_running_loop()
        try:
            async with aclosing(pieces), asyncio.timeout(self._silence_s) as silence:
                async for piece in pieces:
                    before = draft.pieces
                    draft.add(piece, time.monotonic() - started_s)
                    if draft.has_fallen:
                        return
                    if draft.pieces > before:  # a sign of life that says nothing is none
                        silence.reschedule(loop.time() + self._silence_s)
        except TimeoutError as error:
            what = f"nothing was generated for {self._silence_s:g} s (model.read_timeout_s)"
            raise Broken(what) from error

    async def _after_break(self, breaks: Sequence[Broken]) -> None:
        """Pause before the next try; raise if there is none, or if the server is away."""
        broken, count = breaks[-1], len(breaks)
        if count >= TRIES or isinstance(broken, Unreachable):
            if await self._is_there():
                if count >= TRIES:
                    raise BackendError(f"{broken} ({count} times)") from broken
            else:
                await self._until_back()
                # A request that was under way when the server left may be why it did.
                has_begun = not all(isinstance(one, Unreachable) for one in breaks)
                death = EngineDead if has_begun else NotBegun
                raise death(f"the server was away: {broken}") from broken
        await self._pause(PAUSE_S * 2 ** (count - 1))

    async def _is_there(self) -> bool:
        try:
            await self._connection.models()
        except (Broken, Busy):  # one that is loading answers 503
            return False
        except NbestError:  # an answer, whatever it says
            return True
        return True

    async def _until_back(self) -> None:
        """Wait for the server, as long as it may be away; all that wait look once, together."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look_out())
        await asyncio.shield(self._looking)

    async def _look_out(self) -> None:
        until_s = time.monotonic() + self._patience_s
        while time.monotonic() < until_s and not await self._is_there():
            await self._pause(LOOK_AGAIN_S)

    def _note_headers(self, headers: Mapping[str, str]) -> None:
        if (wait_s := used_up_for(headers)) > 0:
            self._throttle.hold(wait_s)

    def _parted(self, sample: Sample) -> Sample:
        if sample.reasoning:
            return replace(sample, text=sample.text.lstrip("\n"))
        return with_thought_apart(sample, self._manner.tags) if self._manner.has_tags else sample


async def _end(drawing: asyncio.Task[Sample]) -> None:
    """End a task that nobody waits for any more, and wait until it has ended."""
    if not drawing.done():
        drawing.cancel()
        await asyncio.wait([drawing])
    if not drawing.cancelled():
        drawing.exception()  # seen, though nobody may ask for it
