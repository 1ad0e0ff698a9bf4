"""Events come out whole, wherever the bytes were cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.model_backend.openai.stream import events
from nbest.orchestrator.errors import BackendError

TEXT = (
    b': note\r\ndata: {"a": 1}\r\n\r\nevent: x\ndata: two\ndata:lines\n\n: ping\n\ndata: [DONE]\n\n'
)
READ = [b'{"a": 1}', b"two\nlines", b"[DONE]"]


async def in_pieces(text: bytes, sizes: list[int]) -> AsyncIterator[bytes]:
    start = 0
    for size in sizes:
        yield text[start : start + size]
        start += size
    yield text[start:]


def read(text: bytes, sizes: list[int], longest: int = 10_000) -> list[bytes]:
    async def collect() -> list[bytes]:
        return [event async for event in events(in_pieces(text, sizes), longest)]

    return asyncio.run(collect())


@given(st.lists(st.integers(0, 9)))
def test_any_cut_gives_the_same_events(sizes: list[int]) -> None:
    assert read(TEXT, sizes) == READ


def test_the_last_event_may_lack_its_empty_line() -> None:
    assert read(b"data: one\n\ndata: two", []) == [b"one", b"two"]
    assert read(b"data: one\n\ndata: two\n", []) == [b"one", b"two"]


def test_an_event_without_end_is_given_up() -> None:
    with pytest.raises(BackendError, match="more than 100 bytes"):
        read(b"data: " + b"x" * 200, [50, 50], 100)
    with pytest.raises(BackendError, match="more than 100 bytes"):
        read(b"data: x\n" * 200, [80] * 20, 100)
