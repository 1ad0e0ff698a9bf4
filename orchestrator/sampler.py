"""Draws the samples of one query from a backend, by way of the store.

It knows no engine, no file and no strategy. It counts what the query has spent, and adds what is
new to the tally of the run.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.errors import BackendError, EngineDead
from orchestrator.progress import Tally
from orchestrator.seeds import sample_seed
from orchestrator.types import (
    Backend,
    Query,
    Request,
    Sample,
    SampleStore,
    SamplingParams,
    Status,
    Usage,
)


class StoredSampler:
    """A `Sampler` over one query: the store first, the backend for what is missing."""

    def __init__(
        self,
        *,
        run: str,
        seed: int,
        query: Query,
        backend: Backend,
        store: SampleStore,
        tally: Tally,
        begun: Callable[[], None],
    ) -> None:
        self._prefix = f"{run}/{query.id}"
        self._seed = seed
        self._query = query
        self._backend = backend
        self._store = store
        self._tally = tally
        self._begun = begun
        self.usage = Usage()
        self.errors: list[str] = []

    async def __call__(self, index: int, params: SamplingParams) -> Sample:
        self._begun()
        sample = self._store.get(self._query.id, index)
        if sample is not None:
            self._tally.samples_reused += 1
        else:
            sample = await self._generate(index, params)
            self._tally.samples_drawn += 1
            self._tally.generated_tokens += sample.generated_tokens
        self.usage += usage_of(sample)
        return sample

    async def abort(self, index: int) -> None:
        await self._backend.abort(self._request_id(index))

    async def _generate(self, index: int, params: SamplingParams) -> Sample:
        request = Request(
            id=self._request_id(index),
            prompt=self._query.prompt,
            params=params,
            seed=sample_seed(self._seed, self._query.id, index),
            affinity=self._query.id,
        )
        try:
            sample = await self._backend.generate(request)
        except EngineDead:  # no fault of this query: the run stops, or its pool replaces the engine
            raise
        except BackendError as error:
            # Not stored: an error is no sample, and the same command again should try again.
            self.errors.append(str(error))
            return Sample(id=request.id, text="", status=Status.ERROR, error=str(error))
        self._store.add(self._query.id, index, sample)
        return sample

    def _request_id(self, index: int) -> str:
        return f"{self._prefix}/s{index}"


def usage_of(sample: Sample) -> Usage:
    """What one sample cost."""
    is_cancelled = sample.status is Status.CANCELLED
    return Usage(
        samples=1,
        prompt_tokens=sample.prompt_tokens,
        cached_tokens=sample.cached_tokens,
        generated_tokens=sample.generated_tokens,
        cancelled_tokens=sample.generated_tokens if is_cancelled else 0,
    )
