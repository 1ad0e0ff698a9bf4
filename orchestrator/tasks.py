"""Tasks of asyncio: groups, and the way into an event loop and back with the result.

The first failure of a group is raised as it is, not wrapped in an exception group.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar


def task_group() -> asyncio.TaskGroup:
    """A TaskGroup: when one task fails, the others are cancelled and awaited; nothing runs on.

    A bare `asyncio.gather` would leave the siblings of a failure running unseen.
    """
    return _Group()


class _Group(asyncio.TaskGroup):
    """A TaskGroup that raises its first failure bare.

    It is no generator around a TaskGroup, which would cost as much again: each query has a group.
    """

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await super().__aexit__(kind, error, traceback)
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None


T = TypeVar("T")


def wait_for(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end, also where an event loop is running already, as in a notebook."""
    results: list[T] = []

    async def store_result() -> None:
        results.append(await coroutine)

    # The result does not come out of `asyncio.run`: Python 3.11 takes the repr of the task that it
    # has run, result included, and the repr of ten thousand samples takes seconds.
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(store_result())
    else:
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(asyncio.run, store_result()).result()
    return results[0]
