"""Many requests, or many samples, in one call: what a backend or a sampler may offer on top.

One task for each sample costs more than all else that happens to the sample, so our backends and
samplers offer it. None has to: where the method is missing, `generate_each` and `draw` in
`query/fanout.py` make one call for each. Both ways give the same, as tests show.

It knows no engine, no store and no strategy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol, TypeAlias, TypeGuard, runtime_checkable

from nbest.orchestrator.errors import BackendError
from nbest.orchestrator.protocols import Backend
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.tasks import task_group
from nbest.orchestrator.types import Request, Sample

Result: TypeAlias = Sample | BackendError
Done: TypeAlias = Callable[[Request, Result], None]
"""Takes the result of a request. It may raise, and does not wait."""


@runtime_checkable
class BatchedBackend(Protocol):
    """A `Backend` that takes many requests in one call.

    1. `done` is called once for each request, as soon as it ends, with what `generate` would have
       returned or raised. The call returns after the last.
    2. Cancelling the call, or an exception of `done`, leaves nothing running; `done` is not called
       again, and the exception is raised.
    3. `abort` works as it does for `generate`.
    """

    async def generate_many(self, requests: Sequence[Request], done: Done) -> None: ...


@runtime_checkable
class BatchedSampler(Protocol):
    """A `Sampler` that draws many samples in one call: those of these indices, in their order.

    No index comes twice. The first failure is raised when the other draws have ended.
    """

    async def draw_many(
        self, indices: Sequence[int], params: SamplingParams
    ) -> tuple[Sample, ...]: ...


def is_batched_backend(backend: object) -> TypeGuard[BatchedBackend]:
    """Whether it takes many requests in one call."""
    kind: Any = type(backend)
    return _keeps(kind, BatchedBackend)


def is_batched_sampler(sampler: object) -> TypeGuard[BatchedSampler]:
    """Whether it draws many samples in one call."""
    kind: Any = type(sampler)
    return _keeps(kind, BatchedSampler)


@cache
def _keeps(kind: type[Any], protocol: type[Any]) -> bool:
    """Whether objects of a type keep a protocol, asked once a type: for an instance Python looks
    for every name again, which would cost each sample as much as a tenth of all else."""
    return issubclass(kind, protocol)


async def generate_each(backend: Backend, requests: Sequence[Request], done: Done) -> None:
    """Do what `BatchedBackend.generate_many` does, with any backend."""
    if is_batched_backend(backend):
        await backend.generate_many(requests, done)
    else:
        await generate_one_by_one(backend, requests, done)


async def generate_one_by_one(backend: Backend, requests: Sequence[Request], done: Done) -> None:
    """Do what `generate_each` does, one call of `generate` for each request."""
    async with task_group() as group:
        for request in requests:
            group.create_task(_generate(backend, request, done))


async def _generate(backend: Backend, request: Request, done: Done) -> None:
    try:
        result: Result = await backend.generate(request)
    except BackendError as error:
        result = error
    done(request, result)


async def generate_each_by(
    requests: Sequence[Request], backends: Sequence[Backend], done: Done
) -> None:
    """Have each request answered by the backend in its place, all of a backend in one call."""
    of_backend: dict[int, tuple[Backend, list[Request]]] = {}
    for request, backend in zip(requests, backends, strict=True):
        of_backend.setdefault(id(backend), (backend, []))[1].append(request)
    if len(of_backend) == 1:  # nearly always, and then no task is needed
        (backend, batch), *_ = of_backend.values()
        return await generate_each(backend, batch, done)
    async with task_group() as group:
        for backend, batch in of_backend.values():
            group.create_task(generate_each(backend, batch, done))
