"""Groups of tasks whose first failure is raised as it is, not wrapped in an exception group."""

from __future__ import annotations

import asyncio
from types import TracebackType


def task_group() -> asyncio.TaskGroup:
    """A TaskGroup: when one task fails, the others are cancelled and awaited; nothing runs on.

    A bare `asyncio.gather` would leave the siblings of a failure running unseen.
    """
    return _Group()


class _Group(asyncio.TaskGroup):
    """Not a generator around a TaskGroup, which would cost as much again: each query has one."""

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
