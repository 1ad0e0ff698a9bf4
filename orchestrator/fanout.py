"""Draws many samples of one query at once. The only place that starts sampling tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.batches import DrawMany
from orchestrator.protocols import Sampler
from orchestrator.tasks import task_group
from orchestrator.types import Sample, SamplingParams


async def draw(
    sampler: Sampler, indices: Iterable[int], params: SamplingParams
) -> tuple[Sample, ...]:
    """The samples of these indices, in the order of the indices.

    The first failure is raised when the other draws have been cancelled and have ended.
    """
    draw_many: DrawMany | None = getattr(sampler, "draw_many", None)
    if draw_many is None:
        return await draw_one_by_one(sampler, tuple(indices), params)
    return await draw_many(tuple(indices), params)


async def draw_one_by_one(
    sampler: Sampler, indices: Sequence[int], params: SamplingParams
) -> tuple[Sample, ...]:
    """The same by way of the sampler's one method alone."""
    async with task_group() as group:
        tasks = [group.create_task(sampler(i, params)) for i in indices]
    return tuple(task.result() for task in tasks)
