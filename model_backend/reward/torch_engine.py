"""The live engine of a `TorchReward`: reads pending requests in batches of like length."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbest.model_backend.reward.reading import RewardInput
from nbest.orchestrator.engines.aborts import EarlyAborts, cancelled_sample
from nbest.orchestrator.errors import BackendError, first_line
from nbest.orchestrator.types import Request, Sample, Status

if TYPE_CHECKING:
    from nbest.model_backend.reward.torch_model import LoadedModel


@dataclass(slots=True, kw_only=True)
class PendingRequest:
    """A request without an answer."""

    request: Request
    model_input: RewardInput
    answer: asyncio.Future[list[float] | None]  # None: it was aborted
    started_s: float = field(default_factory=time.monotonic)


class TorchRewardEngine:
    """A `Backend` that rates the responses of requests."""

    def __init__(self, model: LoadedModel, max_batch_tokens: int, name: str = "") -> None:
        self._model = model
        self._max_batch_tokens = max_batch_tokens
        self._name = name
        self._pending: dict[str, PendingRequest] = {}
        self._has_work = asyncio.Event()
        self._early = EarlyAborts()

    @property
    def in_flight(self) -> tuple[str, ...]:
        """The ids of the requests that have no answer yet."""
        return tuple(self._pending)

    async def generate(self, request: Request) -> Sample:
        if self._early.take(request.id):
            return cancelled_sample(request)
        model_input = self._model.input_of(request)
        answer: asyncio.Future[list[float] | None] = asyncio.get_running_loop().create_future()
        pending = PendingRequest(request=request, model_input=model_input, answer=answer)
        self._pending[request.id] = pending
        self._has_work.set()
        try:
            numbers = await answer
        finally:
            self._pending.pop(request.id, None)
        if numbers is None:
            return cancelled_sample(request)
        return Sample(
            id=request.id,
            text=json.dumps(numbers),
            status=Status.TRUNCATED if model_input.is_cut else Status.OK,
            prompt_tokens=len(model_input.ids),
            total_s=time.monotonic() - pending.started_s,
            engine=self._name,
        )

    async def abort(self, request_id: str) -> None:
        pending = self._pending.get(request_id)
        if pending is None:
            self._early.add(request_id)
        elif not pending.answer.done():
            pending.answer.set_result(None)

    async def work(self) -> None:
        """Read pending requests, for as long as the engine lives."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            while batch := next_batch(tuple(self._pending.values()), self._max_batch_tokens):
                await self._read(batch)

    async def _read(self, batch: Sequence[PendingRequest]) -> None:
        """Run one pass of the model in a thread: aborts and new requests come in meanwhile."""
        inputs = [pending.model_input for pending in batch]
        try:
            numbers = await asyncio.to_thread(self._model.numbers, inputs)
            answers = list(zip(batch, numbers, strict=True))
        # Out of memory, a kernel, an index out of range, or whatever the code of a model raises
        # that came with its weights: it is the end of these requests, not of the engine.
        except Exception as error:  # noqa: BLE001
            failure = error if isinstance(error, BackendError) else BackendError(first_line(error))
            for pending in batch:
                if not pending.answer.done():
                    pending.answer.set_exception(failure)
            return
        for pending, answer in answers:
            if not pending.answer.done():
                pending.answer.set_result(answer)


def next_batch(requests: Sequence[PendingRequest], max_tokens: int) -> list[PendingRequest]:
    """Return the oldest request without an answer, and others of like length that fit beside it.

    So a long request does not wait for ever behind shorter ones. A batch holds at most `max_tokens`
    tokens, padding included; one request always fits.
    """
    pending = [request for request in requests if not request.answer.done()]
    if not pending:
        return []
    oldest = len(pending[0].model_input.ids)
    by_likeness = sorted(pending, key=lambda request: abs(len(request.model_input.ids) - oldest))
    batch: list[PendingRequest] = []
    longest = 0
    for request in by_likeness:
        longest = max(longest, len(request.model_input.ids))
        if batch and longest * (len(batch) + 1) > max_tokens:
            break
        batch.append(request)
    return batch
