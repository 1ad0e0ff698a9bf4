"""Draws many samples of one query at once. The only place that starts sampling tasks.

If one of them raises, or the caller is cancelled, the others are cancelled too and awaited: nothing
is left running. A bare `asyncio.gather` would leave the siblings running unseen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from orchestrator.types import Sample, Sampler, SamplingParams


async def draw(
    sampler: Sampler, indices: Iterable[int], params: SamplingParams
) -> tuple[Sample, ...]:
    """The samples of these indices, in the order of the indices. The first failure is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(sampler(i, params)) for i in indices]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return tuple(task.result() for task in tasks)
