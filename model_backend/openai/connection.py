"""Speaks HTTP with a server: one address, one key, as many requests at once as there are."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from pydantic import ValidationError

from nbest.model_backend.openai.failures import (
    Broken,
    Unreachable,
    Words,
    failure_in_reply,
    failure_of,
)
from nbest.model_backend.openai.stream import events
from nbest.model_backend.openai.wire import Reply
from nbest.orchestrator.errors import NbestError, first_line

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

LONGEST_BODY = 64 * 2**20  # bytes of a reply
LONGEST_ERROR = 2**16  # bytes of a reply that says what is wrong; the rest is not read
LAST_BYTES_S = 1.0  # for the end of a stream to come, after which its connection is used again
LOOK_S = 10.0  # for a question whether the server is there
END_OF_STREAM = b"[DONE]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The way to one server."""

    session: ClientSession
    base_url: str
    words: Words

    async def models(self) -> list[Mapping[str, Any]]:
        """What the server says that it serves; nothing where it does not say."""
        try:
            async with asyncio.timeout(LOOK_S), self._call("GET", "/models") as response:
                if response.status in (404, 405, 501):
                    return []
                if response.status != 200:
                    raise await self._failure(response)
                text = await self._text(response)
        except TimeoutError as error:
            raise Unreachable(f"no answer within {LOOK_S:g} s") from error
        return _listed(text)

    async def whole(self, path: str, body: Mapping[str, Any]) -> tuple[Reply, Mapping[str, str]]:
        """Send a request and return its reply, with the headers."""
        async with self._call("POST", path, body) as response:
            if response.status != 200:
                raise await self._failure(response)
            return self._reply(await self._text(response)), _lower(response.headers)

    async def pieces(
        self, path: str, body: Mapping[str, Any], answered: Callable[[Mapping[str, str]], None]
    ) -> AsyncGenerator[Reply, None]:
        """Send a request and yield the pieces of its reply; `answered` gets its headers.

        Whoever stops early closes the connection, and so ends the request at the server.
        """
        async with self._call("POST", path, body) as response:
            if response.status != 200:
                raise await self._failure(response)
            headers = _lower(response.headers)
            answered(headers)
            if "event-stream" not in headers.get("content-type", ""):
                yield self._reply(await self._text(response))  # it knows no streams
                return
            async for data in events(_bounded(response)):
                if data.strip() == END_OF_STREAM:
                    await _to_the_end(response)
                    return
                yield self._reply(data)

    @asynccontextmanager
    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> AsyncIterator[ClientResponse]:
        from aiohttp import ClientConnectorError, ClientError

        if self.session.closed:
            raise Unreachable("the connection has been closed")

        url = self.base_url + path
        try:
            async with self.session.request(
                method, url, json=body, allow_redirects=False, proxy=proxy_of(url)
            ) as response:
                try:
                    yield response
                finally:
                    if not response.content.at_eof():
                        response.close()  # else what comes would be read to its end first
        except ClientConnectorError as error:
            raise Unreachable(self._about(error)) from error
        except (ClientError, TimeoutError, ConnectionError) as error:
            raise Broken(self._about(error)) from error

    def _about(self, error: BaseException) -> str:
        cause = getattr(error, "os_error", error)  # aiohttp's own text names its settings, too
        code = getattr(cause, "errno", None)
        what = os.strerror(code) if code and code > 0 else getattr(cause, "strerror", None)
        what = (what or first_line(cause)).lower()
        if isinstance(cause, ssl.SSLError):
            what = f"no TLS: {cause.reason or 'it speaks another protocol'}".lower()
        elif (status := getattr(error, "status", None)) is not None:  # of a proxy
            what = f"{status} {getattr(error, 'message', '')}"
        if isinstance(error, TimeoutError):
            what = "no byte for too long (model.read_timeout_s)"
        return self.words.shown(what)

    async def _failure(self, response: ClientResponse) -> NbestError:
        text = (await _beginning(response)).decode("utf-8", errors="replace")
        return failure_of(response.status, _lower(response.headers), text, self.words)

    async def _text(self, response: ClientResponse) -> str:
        parts = [part async for part in _bounded(response)]
        return b"".join(parts).decode("utf-8", errors="replace")

    def _reply(self, text: str | bytes) -> Reply:
        try:
            reply = Reply.model_validate_json(text)
        except (ValidationError, ValueError, RecursionError) as error:
            raw = text if isinstance(text, str) else text.decode("utf-8", errors="replace")
            raise Broken(f"the reply is none: {self.words.of_body(raw)}") from error
        if reply.error:
            raise failure_in_reply(reply.error, self.words)
        return reply


async def _bounded(response: ClientResponse) -> AsyncIterator[bytes]:
    """The parts of a body as they come; Broken where there is no end to it."""
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > LONGEST_BODY:
            raise Broken(f"the server has sent more than {LONGEST_BODY:,} bytes")
        yield part


async def _beginning(response: ClientResponse) -> bytes:
    """The first bytes of a body that says what is wrong."""
    body = b""
    async for part in response.content.iter_any():
        body += part
        if len(body) >= LONGEST_ERROR:
            break
    return body[:LONGEST_ERROR]


async def _to_the_end(response: ClientResponse) -> None:
    """Wait a moment for the end of a stream that has said all: its connection can serve others."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_BYTES_S):
            async for _ in response.content.iter_any():
                pass


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _listed(text: str) -> list[Mapping[str, Any]]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return []
    listed = said.get("data") if isinstance(said, Mapping) else said
    return [m for m in listed if isinstance(m, Mapping)] if isinstance(listed, list) else []


def proxy_secrets(url: str) -> tuple[str, ...]:
    """The password in the address of the proxy for an address, where it has one."""
    password = urlsplit(proxy_of(url) or "").password
    return (password,) if password else ()


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for an address; None where it names none."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
