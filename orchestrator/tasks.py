"""Groups of tasks whose first failure is raised as it is, not wrapped in an exception group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """A TaskGroup: when one task fails, the others are cancelled and awaited; nothing runs on.

    A bare `asyncio.gather` would leave the siblings of a failure running unseen.
    """
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
