"""Measures for how long a coroutine holds the event loop at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

BEAT_S = 0.001


async def longest_hold_s(work: Awaitable[object]) -> float:
    """The most seconds of processor time that this thread spent on anything between two beats.

    It is the time of the thread, not of the clock: what other processes of a busy machine take is
    no fault of the coroutine.
    """
    holds = [0.0]

    async def beat() -> None:
        while True:
            began_s = time.thread_time()
            await asyncio.sleep(BEAT_S)
            holds.append(time.thread_time() - began_s)

    beating = asyncio.create_task(beat())
    await asyncio.sleep(0)
    began_s = time.thread_time()
    try:
        await work
    finally:
        holds.append(0.0 if len(holds) > 1 else time.thread_time() - began_s)
        beating.cancel()
    return max(holds)
