"""From code that is not asynchronous into code that is, and back with the result."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def wait_for(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end, also where an event loop is running already, as in a notebook."""
    found: list[T] = []

    async def keep() -> None:
        found.append(await coroutine)

    # The result does not come out of `asyncio.run`: Python 3.11 spells out the task that it has
    # run, with its result, and ten thousand samples take seconds to spell out.
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(keep())
    else:
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(asyncio.run, keep()).result()
    return found[0]
