"""Packs requests and samples that travel between a worker and an engine into few, plain objects.

Pickle takes several times as long for dataclasses as for tuples, and the requests of a query share
all but their ids and seeds. Unpacking returns what was packed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TypeAlias

from nbest.orchestrator.errors import BackendError
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Message, Prefix, Request, Sample

Finished: TypeAlias = tuple[str, Sample | BackendError]  # a request's id and its result

_NAMES = tuple(field.name for field in fields(Sample))
_VALUES = attrgetter(*_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedRequests:
    """Requests that share their prompt, parameters and affinity."""

    prompt: str | tuple[Message, ...]
    params: SamplingParams
    affinity: str
    rows: list[tuple[str, int | None, str | None, Prefix | None]]  # id, seed, response, prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedResults:
    """Results of requests that have finished."""

    samples: list[tuple[object, ...]]  # the fields of each, in their order
    failures: list[tuple[str, BackendError]]


def pack_requests(requests: Iterable[Request]) -> list[PackedRequests]:
    """Pack neighbouring requests of one query into one object."""
    packed: list[PackedRequests] = []
    for request in requests:
        # Identity and not equality: the requests of a query are made from the same objects.
        if not packed or not (
            packed[-1].params is request.params
            and packed[-1].prompt is request.prompt
            and packed[-1].affinity == request.affinity
        ):
            packed.append(
                PackedRequests(
                    prompt=request.prompt,
                    params=request.params,
                    affinity=request.affinity,
                    rows=[],
                )
            )
        packed[-1].rows.append((request.id, request.seed, request.response, request.prefix))
    return packed


def unpack_requests(packed: Iterable[PackedRequests]) -> list[Request]:
    return [
        Request(
            id=request_id,
            prompt=p.prompt,
            params=p.params,
            seed=seed,
            affinity=p.affinity,
            response=response,
            prefix=prefix,
        )
        for p in packed
        for request_id, seed, response, prefix in p.rows
    ]


def pack_results(finished: Iterable[Finished]) -> PackedResults:
    results = PackedResults(samples=[], failures=[])
    for request_id, result in finished:
        if isinstance(result, Sample):
            results.samples.append(_VALUES(result))
        else:
            results.failures.append((request_id, result))
    return results


def unpack_results(packed: PackedResults) -> list[Finished]:
    """Unpack results: the samples first, then the failures."""
    finished: list[Finished] = []
    for values in packed.samples:
        # The fields of a Sample in their order, as `pack_results` took them.
        sample = Sample(**dict(zip(_NAMES, values, strict=True)))  # type: ignore[arg-type]
        finished.append((sample.id, sample))
    finished.extend(packed.failures)
    return finished
