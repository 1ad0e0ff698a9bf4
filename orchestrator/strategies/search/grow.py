"""The driver of plans: draws what they ask for, and tells them in the order in which they asked."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from nbest.orchestrator.requirements import require
from nbest.orchestrator.strategies.search.plan import Node, Plan
from nbest.orchestrator.tasks import task_group
from nbest.orchestrator.types import Path

Draw = Callable[[Path], Awaitable[Node]]
"""Draws and rates a node whose parent has been told."""

Abort = Callable[[Path], Awaitable[None]]
"""Ends a node that is under way; its draw returns with what there is."""


async def grow(plans: Sequence[Plan], draw: Draw, abort: Abort) -> list[Path]:
    """Grow what the plans ask for until they want no more; none of them waits for another.

    Returns the nodes that the plans were told of, by path: the others came too late to count.
    """
    async with task_group() as group:
        tasks = [group.create_task(_grow(plan, draw, abort)) for plan in plans]
    return sorted(path for task in tasks for path in task.result())


async def _grow(plan: Plan, draw: Draw, abort: Abort) -> list[Path]:
    """Grow one plan; what is under way when it has enough is aborted."""
    under_way: dict[Path, asyncio.Task[Node | Exception]] = {}
    asked: deque[Path] = deque()
    told: list[Path] = []

    async def node(path: Path) -> Node | Exception:
        try:
            return await draw(path)
        except Exception as error:  # noqa: BLE001 # of a node that the plan may never want
            return error

    async with task_group() as group:
        while (paths := plan.ask()) is not None:
            for path in paths:
                under_way[path] = group.create_task(node(path))
                asked.append(path)
            rule = "name nodes, or None, where none of its nodes is under way"
            require(bool(asked), "plan", rule, paths)
            path = asked.popleft()
            drawn = await under_way.pop(path)
            if isinstance(drawn, Exception):
                raise drawn
            plan.tell(path, drawn)
            told.append(path)
        for path, task in under_way.items():
            if not task.done():
                await abort(path)
    return told
