"""Reads server-sent events out of bytes as they come: https://html.spec.whatwg.org, section 9.2."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from nbest.orchestrator.errors import BackendError

LONGEST_EVENT = 16 * 2**20  # bytes


async def events(
    chunks: AsyncIterable[bytes], longest: int = LONGEST_EVENT
) -> AsyncIterator[bytes]:
    """The data of each event, however the bytes are cut; comments and other fields are left out.

    BackendError at an event that is longer than `longest` bytes.
    """
    rest, data = b"", b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r")
            if not line and data:
                yield data
                data = b""
            elif line.startswith(b"data:"):
                data += (b"\n" if data else b"") + line[5:].lstrip(b" ")
        if len(rest) + len(data) > longest:
            raise BackendError(f"the server has sent an event of more than {longest:,} bytes")
    if data or rest.startswith(b"data:"):  # the last one may lack its empty line
        yield data + rest[5:].strip()
