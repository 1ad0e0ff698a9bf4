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


async def grow(plans: Sequence[Plan], draw: Draw, abort: Abort) -> None:
    """Grow what the plans ask for until they want no more; none of them waits for another."""
    async with task_group() as group:
        for plan in plans:
            group.create_task(_grow(plan, draw, abort))


async def _grow(plan: Plan, draw: Draw, abort: Abort) -> None:
    """Grow one plan; what is under way when it has enough is aborted."""
    under_way: dict[Path, asyncio.Task[Node]] = {}
    asked: deque[Path] = deque()

    async def node(path: Path) -> Node:
        return await draw(path)

    async with task_group() as group:
        while (paths := plan.ask()) is not None:
            for path in paths:
                under_way[path] = group.create_task(node(path))
                asked.append(path)
            rule = "name nodes, or None, where none of its nodes is under way"
            require(bool(asked), "plan", rule, paths)
            path = asked.popleft()
            plan.tell(path, await under_way.pop(path))
        for path, task in under_way.items():
            if not task.done():
                await abort(path)
