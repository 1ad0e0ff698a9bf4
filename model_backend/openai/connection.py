"""Speaks HTTP with a server: one address, one key, as many requests at once as there are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
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
from nbest.model_backend.openai.replies import Reply
from nbest.model_backend.openai.stream import events
from nbest.orchestrator.errors import first_line

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

LONGEST_BODY = 64 * 2**20  # bytes of a reply
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
                text = await self._text(response)
                if response.status != 200:
                    raise failure_of(response.status, _lower(response.headers), text, self.words)
        except TimeoutError as error:
            raise Unreachable(f"no answer within {LOOK_S:g} s") from error
        return _listed(text)

    async def whole(self, path: str, body: Mapping[str, Any]) -> tuple[Reply, Mapping[str, str]]:
        """Send a request and return its reply, with the headers."""
        async with self._call("POST", path, body) as response:
            text = await self._text(response)
            headers = _lower(response.headers)
            if response.status != 200:
                raise failure_of(response.status, headers, text, self.words)
            return self._reply(text), headers

    async def pieces(
        self, path: str, body: Mapping[str, Any], answered: Callable[[Mapping[str, str]], None]
    ) -> AsyncGenerator[Reply, None]:
        """Send a request and yield the pieces of its reply; `answered` gets its headers.

        Whoever stops early closes the connection, and so ends the request at the server.
        """
        async with self._call("POST", path, body) as response:
            headers = _lower(response.headers)
            if response.status != 200:
                text = await self._text(response)
                raise failure_of(response.status, headers, text, self.words)
            answered(headers)
            if "event-stream" not in headers.get("content-type", ""):
                yield self._reply(await self._text(response))  # it knows no streams
                return
            async for data in events(response.content.iter_any()):
                if data.strip() == END_OF_STREAM:
                    return
                yield self._reply(data)

    @asynccontextmanager
    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> AsyncIterator[ClientResponse]:
        from aiohttp import ClientConnectorError, ClientError

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
        if isinstance(error, TimeoutError):
            what = "no byte for too long (model.read_timeout_s)"
        return self.words.shown(what)

    async def _text(self, response: ClientResponse) -> str:
        parts, size = [], 0
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > LONGEST_BODY:
                raise Broken(f"the server has sent more than {LONGEST_BODY:,} bytes")
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


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _listed(text: str) -> list[Mapping[str, Any]]:
    import json

    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return []
    listed = said.get("data") if isinstance(said, Mapping) else said
    return [m for m in listed if isinstance(m, Mapping)] if isinstance(listed, list) else []


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for an address; None where it names none."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
