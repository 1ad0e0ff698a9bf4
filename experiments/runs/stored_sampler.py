"""Samplers that draw nothing: what is not in the run is said to be missing.

With one a strategy itself tells whether a run already holds all that it would draw.
"""

from __future__ import annotations

from collections.abc import Sequence

from nbest.experiments.runs.stored_calls import StoredCalls
from nbest.orchestrator.errors import StoreError
from nbest.orchestrator.store.run_store import RunStore
from nbest.orchestrator.types import Identity, Message, Query, Sample, SamplingParams


class NotStored(StoreError):
    """The run does not hold a sample that a strategy wants."""


class DrawsNothing:
    """What all samplers without an engine share: calls are answered from the store, or not."""

    def __init__(self, calls: StoredCalls) -> None:
        self._calls = calls

    async def ask(
        self, name: str, prompt: str | tuple[Message, ...], params: SamplingParams
    ) -> Sample:
        """As a `Sampler` has it; `NotAsked` for what the store does not hold."""
        return await self._calls(name, prompt, params)

    async def rate(self, identity: Identity, responses: Sequence[str]) -> tuple[Sample, ...]:
        """As a `Sampler` has it; `NotAsked` for what the store does not hold."""
        return await self._calls.rate(identity, responses)

    async def abort(self, index: int) -> None:
        """There is nothing under way."""


class StoredSamples(DrawsNothing):
    """A `Sampler` over what a run holds of one query; `NotStored` or `NotAsked` for the rest."""

    def __init__(self, store: RunStore, query: Query) -> None:
        super().__init__(StoredCalls(query_id=query.id, find=lambda key: store.get(key, 0)))
        self._store = store
        self._query = query

    async def __call__(self, index: int, params: SamplingParams) -> Sample:
        return self._stored(index)

    async def draw_many(self, indices: Sequence[int], params: SamplingParams) -> tuple[Sample, ...]:
        """As a `BatchedSampler`: the same as one call an index, without a task for each."""
        return tuple(self._stored(index) for index in indices)

    def _stored(self, index: int) -> Sample:
        found = self._store.get(self._query.id, index)
        if found is None:
            raise NotStored(f"no sample {index} of {self._query.id!r} is stored")
        return found
