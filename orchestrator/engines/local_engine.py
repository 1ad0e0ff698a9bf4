"""The engine of a run in one process: started again when it dies, and metered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from nbest.orchestrator.engines.batches import Done, Result, generate_each
from nbest.orchestrator.engines.history import EngineHistory, EngineView
from nbest.orchestrator.engines.meter import Meter
from nbest.orchestrator.errors import BackendError, EngineDead, NbestError, first_line
from nbest.orchestrator.protocols import Backend, BackendConfig
from nbest.orchestrator.types import Request, Sample


class LocalEngine:
    """A `Backend` that opens its engine, and opens it again after a death."""

    def __init__(self, settings: BackendConfig, name: str) -> None:
        self._settings = settings
        self.name = name
        self._lives = 0
        self._resources = AsyncExitStack()
        self._backend: Backend | None = None
        self._meter = Meter()
        self._log = EngineHistory(name)

    async def revive(self) -> None:
        """Start the engine, after the last one has been cleared away; EngineDead if it cannot."""
        await self.close()
        try:
            self._backend = await self._resources.enter_async_context(
                self._settings.open(self.name)
            )
        # A backend is a plugin, and so are the libraries that it starts.
        except Exception as error:
            if self._lives:
                why = f"it cannot be started again: {first_line(error)}"
                raise EngineDead(why) from error
            if isinstance(error, NbestError):
                raise
            why = f"engine {self.name} cannot be started: {type(error).__name__}: "
            raise BackendError(why + first_line(error)) from error
        self._meter = Meter()
        self._lives += 1
        self.view()  # even a life that ends before the next look counts

    async def generate(self, request: Request) -> Sample:
        if self._backend is None:
            raise EngineDead("the engine has been closed")
        self._meter.began()
        sample: Sample | None = None
        try:
            sample = await self._backend.generate(request)
            return sample
        finally:
            self._meter.ended(sample)

    async def generate_many(self, requests: Sequence[Request], done: Done) -> None:
        """Answer many requests, whether the engine itself is a `BatchedBackend` or not."""
        meter, in_flight = self._meter, len(requests)

        def ended(request: Request, result: Result) -> None:
            nonlocal in_flight
            in_flight -= 1
            meter.ended(result if isinstance(result, Sample) else None)
            done(request, result)

        if self._backend is None:
            for request in requests:
                done(request, EngineDead("the engine has been closed"))
            return
        for _ in requests:
            meter.began()
        try:
            await generate_each(self._backend, requests, ended)
        finally:
            for _ in range(in_flight):
                meter.ended(None)

    async def abort(self, request_id: str) -> None:
        if self._backend is not None:
            await self._backend.abort(request_id)

    async def close(self) -> None:
        self._backend = None
        resources, self._resources = self._resources, AsyncExitStack()
        await resources.aclose()

    def view(self) -> EngineView:
        """The engine as a display shows it."""
        if self._backend is None:
            self._log.lost()
        else:
            self._log.saw(self._meter.pulse(str(self._lives)), time.monotonic())
        return self._log.view()
