"""Samplers that draw nothing: they raise an error for what is not in the run.

A strategy that ends well with one needs no more than the run already holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nbest.experiments.runs.stored_calls import StoredCalls
from nbest.orchestrator.errors import StoreError
from nbest.orchestrator.query.model_calls import revision_key, step_key
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.store.run_store import RunStore
from nbest.orchestrator.types import (
    Ask,
    Identity,
    Path,
    Prefix,
    Prompt,
    Query,
    Sample,
    Status,
)


class NotStored(StoreError):
    """Says that the run does not hold a sample that a strategy wants."""


class DrawsNothing:
    """The base of samplers without an engine, which answer calls from the store alone."""

    def __init__(self, calls: StoredCalls) -> None:
        self._calls = calls

    async def ask(self, name: str, prompt: Prompt, params: SamplingParams) -> Sample:
        """The stored reply to a call; NotAsked where the store holds none."""
        return await self._calls(name, prompt, params)

    def ask_model(self, identity: Identity) -> Ask:
        """The stored replies of another model of the run."""
        return self._calls.ask_model(identity)

    async def rate(self, identity: Identity, responses: Sequence[str]) -> tuple[Sample, ...]:
        """The stored ratings of the responses; NotAsked where the store lacks one."""
        return await self._calls.rate(identity, responses)

    async def abort(self, index: int) -> None:
        """Do nothing: no sample is under way."""


class StoredSteps(DrawsNothing):
    """A `NodeSampler` over what `find` knows by query id and index; NotStored for all others."""

    def __init__(
        self,
        query: Query,
        find: Callable[[str, int], Sample | None],
        *,
        has_ended: bool = False,  # then a sample that is missing has failed: failures are not kept
    ) -> None:
        super().__init__(StoredCalls(query_id=query.id, find=lambda key: find(key, 0)))
        self._query = query
        self._find = find
        self._has_ended = has_ended
        self.missing = 0  # steps that were asked for and are not stored

    async def __call__(self, index: int, params: SamplingParams) -> Sample:
        if self._has_ended and self._find(self._query.id, index) is None:
            name = f"{self._query.id}/s{index}"
            return Sample(id=name, text="", status=Status.ERROR, error="it failed")
        return self._stored(self._query.id, index)

    async def step(self, path: Path, prefix: Prefix, params: SamplingParams) -> Sample:
        """The stored step of that path after that prefix."""
        return self._stored(step_key(self._query.id, path, prefix, params), path[-1])

    async def revise(self, path: Path, prompt: Prompt, params: SamplingParams) -> Sample:
        """The stored revision of that path, made of that prompt."""
        return self._stored(revision_key(self._query.id, path, prompt, params), path[-1])

    async def abort_node(self, path: Path) -> None:
        """Do nothing: no node is under way."""

    def _stored(self, key: str, index: int) -> Sample:
        sample = self._find(key, index)
        if sample is None:
            self.missing += 1
            raise NotStored(f"no sample {index} of {key!r} is stored")
        return sample


class StoredSamples(StoredSteps):
    """A `Sampler` over the stored samples of one query; NotStored or NotAsked for all others."""

    def __init__(self, store: RunStore, query: Query) -> None:
        super().__init__(query, store.get)

    async def draw_many(self, indices: Sequence[int], params: SamplingParams) -> tuple[Sample, ...]:
        """The stored samples of these indices, without a task for each."""
        return tuple(self._stored(self._query.id, index) for index in indices)
