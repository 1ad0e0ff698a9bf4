"""The live engine of a `TorchReward`: collects what waits, and reads it sorted by length."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbest.model_backend.reward.reading import Input
from nbest.orchestrator.engines.aborts import EarlyAborts, cancelled
from nbest.orchestrator.errors import BackendError
from nbest.orchestrator.types import Request, Sample, Status

if TYPE_CHECKING:
    from nbest.model_backend.reward.torch_model import Reader


@dataclass(slots=True, kw_only=True)
class Waiting:
    """A request that has not been read yet."""

    request: Request
    read: Input
    answer: asyncio.Future[list[float] | None]  # None: it was aborted
    begun_s: float = field(default_factory=time.monotonic)


class TorchRewardEngine:
    """A `Backend` for requests with a response."""

    def __init__(self, reader: Reader, max_batch_tokens: int, name: str = "") -> None:
        self._reader = reader
        self._max_batch_tokens = max_batch_tokens
        self._name = name
        self._waiting: dict[str, Waiting] = {}
        self._has_work = asyncio.Event()
        self._early = EarlyAborts()

    @property
    def in_flight(self) -> tuple[str, ...]:
        """The ids of the requests that have no answer yet."""
        return tuple(self._waiting)

    async def generate(self, request: Request) -> Sample:
        if self._early.take(request.id):
            return cancelled(request)
        read = self._reader.input_of(request)
        answer: asyncio.Future[list[float] | None] = asyncio.get_running_loop().create_future()
        waiting = Waiting(request=request, read=read, answer=answer)
        self._waiting[request.id] = waiting
        self._has_work.set()
        try:
            numbers = await answer
        finally:
            self._waiting.pop(request.id, None)
        if numbers is None:
            return cancelled(request)
        return Sample(
            id=request.id,
            text=json.dumps(numbers),
            status=Status.TRUNCATED if read.is_cut else Status.OK,
            prompt_tokens=len(read.ids),
            total_s=time.monotonic() - waiting.begun_s,
            engine=self._name,
        )

    async def abort(self, request_id: str) -> None:
        waiting = self._waiting.get(request_id)
        if waiting is None:
            self._early.add(request_id)
        elif not waiting.answer.done():
            waiting.answer.set_result(None)

    async def work(self) -> None:
        """Read what waits, for as long as the engine lives."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            while batch := next_batch(tuple(self._waiting.values()), self._max_batch_tokens):
                await self._read(batch)

    async def _read(self, batch: Sequence[Waiting]) -> None:
        """One pass through the model, in a thread: aborts and new requests come in meanwhile."""
        inputs = [waiting.read for waiting in batch]
        try:
            numbers = await asyncio.to_thread(self._reader.numbers, inputs)
        except (RuntimeError, BackendError) as error:  # torch says so of memory and of kernels
            failure = error if isinstance(error, BackendError) else BackendError(str(error))
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(failure)
            return
        for waiting, found in zip(batch, numbers, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(found)


def next_batch(waiting: Sequence[Waiting], max_tokens: int) -> list[Waiting]:
    """The oldest that has not been read, and others of like length that fit beside it.

    Nothing waits for ever behind what is shorter. At most so many tokens, padding included; one
    request always fits.
    """
    left = [each for each in waiting if not each.answer.done()]
    if not left:
        return []
    oldest = len(left[0].read.ids)
    near = sorted(left, key=lambda each: abs(len(each.read.ids) - oldest))
    batch: list[Waiting] = []
    longest = 0
    for each in near:
        longest = max(longest, len(each.read.ids))
        if batch and longest * (len(batch) + 1) > max_tokens:
            break
        batch.append(each)
    return batch
