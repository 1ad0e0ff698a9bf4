"""Answers many requests with the engines of a pool, in as few tasks as can be.

Requests that find a free slot at once go out together, an engine at a time. The others, and those
that fail at their engine, go one by one, as if each had come alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nbest.orchestrator.engines.batches import Done, Result, generate_each
from nbest.orchestrator.engines.pool_engine import PooledEngine
from nbest.orchestrator.errors import BackendError
from nbest.orchestrator.tasks import task_group
from nbest.orchestrator.types import Request, Sample


@dataclass(slots=True, kw_only=True)
class Attempts:
    """The failed attempts at a request."""

    rests: int = 0  # how often its engine was overloaded and had to rest
    was_begun: bool = False  # by an engine that died


class Slots(Protocol):
    """What a pool does for one request."""

    def place(self, request: Request) -> PooledEngine | None:
        """Give it a slot; None if it has to wait, or its query is suspected or quarantined."""

    def leave(self, engine: PooledEngine, request: Request) -> None:
        """Free the slot of a request that has left its engine."""

    def note_sample(self, engine: PooledEngine, sample: Sample, attempts: Attempts) -> None:
        """Note that the engine has finished a sample."""

    def is_over(
        self, engine: PooledEngine, request: Request, error: BackendError, attempts: Attempts
    ) -> bool:
        """Act on a failure; returns whether it is final, else the request has to be tried again."""

    async def attempt(self, request: Request, attempts: Attempts) -> Sample:
        """Do what `Backend.generate` does, after these failed attempts."""


async def answer_all(slots: Slots, requests: Sequence[Request], done: Done) -> None:
    """Do what `BatchedBackend.generate_many` does, with the engines of a pool."""
    placed: dict[str, PooledEngine] = {}  # by id, the requests that hold a slot given here
    try:
        async with task_group() as group:
            unplaced, batches = _place_all(slots, requests, placed)
            for request in unplaced:
                group.create_task(_answer(slots, request, Attempts(), done))
            for batch in batches[1:]:
                group.create_task(_work(slots, batch, placed, done, group))
            for batch in batches[:1]:  # mostly the only one, and then no task is needed
                await _work(slots, batch, placed, done, group)
    finally:
        for request in requests if placed else ():
            if request.id in placed:
                slots.leave(placed[request.id], request)


def _place_all(
    slots: Slots, requests: Sequence[Request], placed: dict[str, PooledEngine]
) -> tuple[Sequence[Request], list[list[Request]]]:
    """Give slots out; returns the requests that got none, and the batch of each engine."""
    batches: dict[str, list[Request]] = {}
    for place, request in enumerate(requests):
        engine = slots.place(request)
        if engine is None:
            return requests[place:], list(batches.values())  # nobody overtakes
        placed[request.id] = engine
        batches.setdefault(engine.name, []).append(request)
    return (), list(batches.values())


async def _answer(slots: Slots, request: Request, attempts: Attempts, done: Done) -> None:
    try:
        result: Result = await slots.attempt(request, attempts)
    except BackendError as error:
        result = error
    done(request, result)


async def _work(
    slots: Slots,
    batch: Sequence[Request],
    placed: dict[str, PooledEngine],
    done: Done,
    group: asyncio.TaskGroup,
) -> None:
    """Let an engine answer its batch of requests."""
    engine = placed[batch[0].id]
    no_attempts = Attempts()

    def ended(request: Request, result: Result) -> None:
        del placed[request.id]
        if isinstance(result, Sample):
            slots.note_sample(engine, result, no_attempts)
            slots.leave(engine, request)
            done(request, result)
            return
        attempts = Attempts()
        is_over = slots.is_over(engine, request, result, attempts)
        slots.leave(engine, request)
        if is_over:
            done(request, result)
        else:
            group.create_task(_answer(slots, request, attempts, done))

    await generate_each(engine.backend, batch, ended)
