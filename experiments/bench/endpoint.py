"""`nbest bench endpoint`: the same samples from an engine of ours and from vLLM's own server.

Both are alive side by side, and only one works at a time. Each sample is a request of its own on
both sides, with the same seed, so their texts can be compared, too.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nbest.experiments.bench.engine import EngineLoad
from nbest.model_backend.openai.settings import Endpoint
from nbest.model_backend.vllm.server import vllm_server
from nbest.model_backend.vllm.settings import VLLM
from nbest.orchestrator.protocols import Backend
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Request, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRound:
    """Generated tokens a second of each side, and the share of samples whose texts are equal."""

    engine_tokens_per_s: float
    endpoint_tokens_per_s: float
    same: float

    @property
    def ratio(self) -> float:
        return self.endpoint_tokens_per_s / self.engine_tokens_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointCompared:
    """Medians over the rounds; the ratio is the median of the rounds' own ratios."""

    ratio: float
    engine_tokens_per_s: float
    endpoint_tokens_per_s: float
    same: float
    rounds: int


def compare_endpoint(
    settings: VLLM, load: EngineLoad, rounds: int, tell: Callable[[EndpointRound], None]
) -> EndpointCompared:
    """Alternate the two; the first round of each warms up and does not count."""
    return asyncio.run(_compare_live(settings, load, rounds, tell))


async def _compare_live(
    settings: VLLM, load: EngineLoad, rounds: int, tell: Callable[[EndpointRound], None]
) -> EndpointCompared:
    concurrency = settings.max_num_seqs
    async with (
        vllm_server(settings) as base_url,
        settings.open() as engine,
        Endpoint(settings.model, base_url=base_url, max_concurrency=concurrency).open() as served,
    ):
        return await compared(engine, served, load, rounds, tell)


async def compared(
    engine: Backend,
    served: Backend,
    load: EngineLoad,
    rounds: int,
    tell: Callable[[EndpointRound], None],
) -> EndpointCompared:
    """Draw the same samples from both, in turns."""
    measured = []
    for i in range(rounds + 1):
        requests = _requests(load, seed=10_000 * i)
        ours, ours_s = await _draw(engine, requests)
        theirs, theirs_s = await _draw(served, requests)
        pairs = list(zip(ours, theirs, strict=True))
        result = EndpointRound(
            engine_tokens_per_s=_tokens(ours) / ours_s,
            endpoint_tokens_per_s=_tokens(theirs) / theirs_s,
            same=sum(a.text == b.text for a, b in pairs) / len(pairs),
        )
        if i > 0:
            measured.append(result)
            tell(result)
    return EndpointCompared(
        ratio=statistics.median(r.ratio for r in measured),
        engine_tokens_per_s=statistics.median(r.engine_tokens_per_s for r in measured),
        endpoint_tokens_per_s=statistics.median(r.endpoint_tokens_per_s for r in measured),
        same=statistics.mean(r.same for r in measured),
        rounds=rounds,
    )


def _requests(load: EngineLoad, seed: int) -> list[Request]:
    params = SamplingParams(temperature=1.0, max_tokens=load.max_tokens, logprobs=0)
    return [
        Request(id=f"bench{seed}/q{q}/s{i}", prompt=prompt, params=params, seed=seed + i)
        for q, prompt in enumerate(load.prompts())
        for i in range(load.n)
    ]


async def _draw(backend: Backend, requests: Sequence[Request]) -> tuple[list[Sample], float]:
    started_s = time.monotonic()
    samples = await asyncio.gather(*map(backend.generate, requests))
    return samples, time.monotonic() - started_s


def _tokens(samples: Sequence[Sample]) -> int:
    return sum(sample.generated_tokens for sample in samples)
