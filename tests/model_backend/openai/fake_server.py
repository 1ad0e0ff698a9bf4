"""A server that speaks the protocol as vLLM does, around a script, with faults on demand."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from nbest.model_backend.fake.engine import top_logprobs
from nbest.model_backend.fake.script import Reply, Script, cut
from nbest.orchestrator.sampling_params import Constraint, SamplingParams
from nbest.orchestrator.types import Message, Request, Status

Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FakeServer:
    """What it says, what it serves, and what it has been asked."""

    script: Script
    model: str = "fake"
    owner: str = "vllm"
    key: str = ""
    faults: deque[Fault] = field(default_factory=deque)  # the next requests get these
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    under_way: int = 0
    left: int = 0  # replies that their client did not wait for
    most: int = 0  # that were under way at once
    has_usage: bool = True
    has_logprobs: bool = True
    reply_headers: dict[str, str] = field(default_factory=dict)
    url: str = ""
    gate: asyncio.Event = field(default_factory=asyncio.Event)  # replies wait while it is clear
    is_seeded: bool = True
    is_idle: asyncio.Event = field(default_factory=asyncio.Event)
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)  # since the gate was cleared
    loads: int = 0  # how often it says that it is still loading
    transports: set[int] = field(default_factory=set)

    @property
    def connections(self) -> int:
        """How many connections requests have come by."""
        return len(self.transports)

    async def models(self, request: web.Request) -> web.StreamResponse:
        if self.loads:
            self.loads -= 1
            return web.json_response({"error": {"message": "loading"}}, status=503)
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": {"message": "wrong key"}}, status=401)
        listed = [{"id": self.model, "object": "model", "owned_by": self.owner}]
        return web.json_response({"object": "list", "data": listed})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        body = await request.json()
        self.bodies.append(body)
        self.transports.add(request.transport.get_extra_info("peername")[1])  # type: ignore[union-attr]
        if not self.gate.is_set():
            self.is_asked.set()
        self.under_way += 1
        self.is_idle.clear()
        self.most = max(self.most, self.under_way)
        try:
            await self.gate.wait()
            if self.faults:
                return await self.faults.popleft()(request)
            asked = asked_of(body, is_seeded=self.is_seeded)
            reply = self.script(asked)
            if reply.error is not None:
                message = {"message": str(reply.error), "type": "BadRequestError", "code": 400}
                return web.json_response({"error": message}, status=400)
            return await self._answer(request, asked, reply, body)
        except asyncio.CancelledError:
            self.left += 1
            raise
        finally:
            self.under_way -= 1
            if not self.under_way:
                self.is_idle.set()

    async def _answer(
        self, request: web.Request, asked: Request, reply: Reply, body: dict[str, Any]
    ) -> web.StreamResponse:
        tokens, status, _ = cut(reply.tokens, asked.params)
        finish = "length" if status is Status.TRUNCATED else "stop"
        await asyncio.sleep(reply.first_token_s)
        is_chat = "messages" in body
        if not body.get("stream"):
            await asyncio.sleep(reply.token_s * len(tokens))
            choice = self._choice(asked, reply, range(len(tokens)), tokens, is_chat, "message")
            whole = {"choices": [choice | {"finish_reason": finish}]}
            return web.json_response(whole | self._usage(len(tokens)), headers=self.reply_headers)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream"} | self.reply_headers
        )
        await response.prepare(request)
        for place in range(len(tokens)):
            await asyncio.sleep(reply.token_s)
            choice = self._choice(asked, reply, range(place, place + 1), tokens, is_chat, "delta")
            is_last = place == len(tokens) - 1
            ended = {"finish_reason": finish if is_last else None}
            continuous = (body.get("stream_options") or {}).get("continuous_usage_stats")
            usage = self._usage(place + 1) if continuous else {}
            await _send(response, {"choices": [choice | ended]} | usage)
        if not tokens:
            await _send(response, {"choices": [{"index": 0, "finish_reason": finish}]})
        await _send(
            response, {"choices": [], "system_fingerprint": "v1"} | self._usage(len(tokens))
        )
        await response.write(b"data: [DONE]\n\n")
        return response

    def _usage(self, count: int) -> dict[str, Any]:
        counts = {"prompt_tokens": 3, "completion_tokens": count, "total_tokens": 3 + count}
        return {"usage": counts} if self.has_usage else {}

    def _choice(
        self,
        asked: Request,
        reply: Reply,
        places: range,
        tokens: tuple[str, ...],
        is_chat: bool,
        said: str,
    ) -> dict[str, Any]:
        text = "".join(tokens[i] for i in places)
        choice: dict[str, Any] = {"index": 0, "token_ids": list(places)}
        choice |= {said: {"role": "assistant", "content": text}} if is_chat else {"text": text}
        if asked.params.logprobs is not None and self.has_logprobs:
            choice["logprobs"] = logprobs_of(asked, reply, places, is_chat)
        return choice


def logprobs_of(asked: Request, reply: Reply, places: range, is_chat: bool) -> dict[str, Any]:
    """Log-probabilities as vLLM writes them: the sampled token is the first of the likeliest."""
    own = reply.logprobs or (-1.0,) * len(reply.tokens)
    top = top_logprobs(reply, len(reply.tokens), asked.params)
    rows = [[] if top is None else top.array()[i].tolist() for i in places]
    if is_chat:
        content = [
            {
                "token": reply.tokens[i],
                "logprob": own[i],
                "top_logprobs": [{"token": f"t{j}", "logprob": x} for j, x in enumerate(row)],
            }
            for i, row in zip(places, rows, strict=True)
        ]
        return {"content": content}
    return {
        "tokens": [reply.tokens[i] for i in places],
        "token_logprobs": [own[i] for i in places],
        "top_logprobs": [{f"t{j}": x for j, x in enumerate(row)} for row in rows],
    }


def asked_of(body: dict[str, Any], *, is_seeded: bool = True) -> Request:
    """The request that a body stands for."""
    limit = body.get("max_tokens") or body.get("max_completion_tokens") or 16
    choice = (body.get("structured_outputs") or {}).get("choice")
    wanted = body.get("logprobs")
    logprobs = body.get("top_logprobs", 0) if wanted is True else wanted
    messages = body.get("messages")
    turns = tuple(Message(role=m["role"], content=m["content"]) for m in messages or ())
    return Request(
        id="served",
        prompt=body["prompt"] if messages is None else turns,
        params=SamplingParams(
            temperature=body.get("temperature", 1.0),
            max_tokens=limit,
            stop=tuple(body.get("stop") or ()),
            logprobs=None if logprobs is False else logprobs,
            token_texts=bool(logprobs),
            constraint=Constraint(choice=tuple(choice)) if choice else None,
        ),
        seed=body.get("seed") if is_seeded else None,
    )


async def _send(response: web.StreamResponse, event: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")


def says(status: int, body: object, headers: dict[str, str] | None = None) -> Fault:
    """A fault: this status with this body, JSON unless it is text."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if isinstance(body, str):
            kind = "text/html" if body.startswith("<") else "application/json"
            return web.Response(status=status, text=body, content_type=kind, headers=headers)
        return web.json_response(body, status=status, headers=headers)

    return answer


def streams(*events: object, is_cut: bool = False) -> Fault:
    """A fault: these events as a stream, JSON unless they are bytes; cut off where `is_cut`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events:
            if isinstance(event, bytes):
                await response.write(event)
            else:
                await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        if is_cut:
            assert request.transport is not None
            request.transport.abort()
        return response

    return answer


async def resets(request: web.Request) -> web.StreamResponse:
    """A fault: the connection is reset before anything is said."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def is_silent(request: web.Request) -> web.StreamResponse:
    """A fault: nothing is said for ever."""
    await asyncio.Event().wait()
    return web.Response()


@asynccontextmanager
async def serving(server: FakeServer, port: int = 0) -> AsyncIterator[FakeServer]:
    """Serve on a free port of this machine; `url` says where."""
    app = web.Application(client_max_size=2**26)
    app.router.add_get("/v1/models", server.models)
    app.router.add_post("/v1/chat/completions", server.complete)
    app.router.add_post("/v1/completions", server.complete)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    server.gate.set()
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield server
    finally:
        await runner.cleanup()


@contextmanager
def served_in_a_thread(server: FakeServer) -> Iterator[FakeServer]:
    """Serve from a thread of its own, for tests of whole processes."""
    is_up = threading.Event()
    loop = asyncio.new_event_loop()
    is_over = asyncio.Event()

    async def serve() -> None:
        async with serving(server):
            is_up.set()
            await is_over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    try:
        assert is_up.wait(30)
        yield server
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join()
        loop.close()
