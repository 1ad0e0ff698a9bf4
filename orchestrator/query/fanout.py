"""Draws many samples of one query at once. The only place that starts sampling tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from nbest.orchestrator.engines.batches import is_batched_sampler
from nbest.orchestrator.protocols import Sampler
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.tasks import task_group
from nbest.orchestrator.types import Sample, Status


async def draw(
    sampler: Sampler, indices: Iterable[int], params: SamplingParams
) -> tuple[Sample, ...]:
    """Draw the samples of these indices and return them in the order of the indices.

    The first failure is raised when the other draws have been cancelled and have ended.
    """
    if is_batched_sampler(sampler):
        return await sampler.draw_many(tuple(indices), params)
    return await draw_one_by_one(sampler, tuple(indices), params)


async def draw_in_order(
    sampler: Sampler,
    indices: Sequence[int],
    params: SamplingParams,
    ahead: int,
    is_enough: Callable[[Sequence[Sample]], Awaitable[bool]],
) -> tuple[list[Sample], list[Sample]]:
    """Draw until the samples are enough; return those that count and those then under way.

    `is_enough` sees the samples in the order of their indices, whatever the order of their
    arrival; `ahead` of them are under way at any time, and those under way at the end are aborted.
    """
    drawn: list[Sample] = []
    under_way: dict[int, asyncio.Task[Sample]] = {}
    async with task_group() as group:
        while len(drawn) < len(indices):
            for index in indices[len(drawn) : len(drawn) + ahead]:
                if index not in under_way:
                    under_way[index] = group.create_task(sampler(index, params))
            drawn.append(await under_way.pop(indices[len(drawn)]))
            if await is_enough(drawn):
                break
        for index, task in under_way.items():
            if not task.done():
                await sampler.abort(index)
    return drawn, [_as_loser(task.result()) for task in under_way.values()]


def _as_loser(sample: Sample) -> Sample:
    """Mark a sample as cancelled: it was paid for and is kept, but the decision did not need it."""
    return replace(sample, status=Status.CANCELLED) if sample.status is Status.OK else sample


async def draw_one_by_one(
    sampler: Sampler, indices: Sequence[int], params: SamplingParams
) -> tuple[Sample, ...]:
    """Do what `draw` does, one call of the sampler for each sample."""
    async with task_group() as group:
        tasks = [group.create_task(sampler(i, params)) for i in indices]
    return tuple(task.result() for task in tasks)
