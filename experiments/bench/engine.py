"""`nbest bench engine`: the same prompts through plain vLLM and through nbest on Ray, in turns.

Ours stores every sample with its log-probabilities on disk before its clock stops; plain vLLM keeps
nothing. The two engines are alive side by side, and only one works at a time.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nbest.model_backend.vllm.plain import GenerateCall, PlainVLLM, plain_vllm
from nbest.model_backend.vllm.settings import VLLM
from nbest.orchestrator.cluster.actors import start_engines, start_workers
from nbest.orchestrator.cluster.driver import Driver
from nbest.orchestrator.cluster.session import ray_session
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.cluster.worker import EngineHandle
from nbest.orchestrator.run.job import Job, Work
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.types import Query
from nbest.scorers.confidence.logprob import MeanLogprob

SUBJECTS = ("a lighthouse", "two brothers", "a lost dog", "the last train", "an old clock")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLoad:
    """What both sides do in each round."""

    queries: int
    n: int
    max_tokens: int

    def prompts(self) -> tuple[str, ...]:
        """Different beginnings of stories, which a model goes on with to `max_tokens`."""
        subjects = (SUBJECTS[i % len(SUBJECTS)] for i in range(self.queries))
        return tuple(
            f"Chapter {i}. Once there was {s}, and" for i, s in enumerate(subjects, start=1)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Generated tokens a second of each side."""

    plain_tokens_per_s: float
    nbest_tokens_per_s: float

    @property
    def ratio(self) -> float:
        return self.nbest_tokens_per_s / self.plain_tokens_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Medians over the rounds; the ratio is the median of the rounds' own ratios."""

    ratio: float
    plain_tokens_per_s: float
    nbest_tokens_per_s: float
    rounds: int

    def as_json(self) -> dict[str, float | int]:
        return asdict(self)


def compare_engines(
    settings: VLLM, load: EngineLoad, rounds: int, tell: Callable[[Round], None]
) -> Compared:
    """Alternate the two; the first round of each warms up and does not count."""
    cluster = Cluster()
    with plain_vllm(settings) as plain, ray_session(cluster):
        measured = asyncio.run(_rounds(settings, load, rounds, plain, cluster, tell))
    return Compared(
        ratio=statistics.median(r.ratio for r in measured),
        plain_tokens_per_s=statistics.median(r.plain_tokens_per_s for r in measured),
        nbest_tokens_per_s=statistics.median(r.nbest_tokens_per_s for r in measured),
        rounds=rounds,
    )


async def _rounds(
    settings: VLLM,
    load: EngineLoad,
    rounds: int,
    plain: PlainVLLM,
    cluster: Cluster,
    tell: Callable[[Round], None],
) -> list[Round]:
    engines = start_engines(settings, cluster)
    await asyncio.gather(*(handle.actor.ready.remote() for handle in engines))
    measured: list[Round] = []
    for i in range(rounds + 1):
        params = SamplingParams(temperature=1.0, max_tokens=load.max_tokens, logprobs=0)
        call = GenerateCall(prompts=load.prompts(), n=load.n, params=params, seed=1000 * i)
        generated = await asyncio.to_thread(plain.generate, call)
        ours = await _our_rate(settings, load, params, i, engines, cluster)
        result = Round(
            plain_tokens_per_s=generated.tokens / generated.seconds, nbest_tokens_per_s=ours
        )
        if i > 0:
            measured.append(result)
            tell(result)
    return measured


async def _our_rate(
    settings: VLLM,
    load: EngineLoad,
    params: SamplingParams,
    seed: int,
    engines: Sequence[EngineHandle],
    cluster: Cluster,
) -> float:
    """Tokens a second from the first lease to the last commit."""
    with tempfile.TemporaryDirectory() as folder:
        work = Work(
            run="bench",
            seed=seed,
            strategy=BestOfN(n=load.n, select=MeanLogprob(), params=params),
            directory=str(Path(folder) / "run"),
        )
        queries = [Query(id=f"r{seed}q{i}", prompt=p) for i, p in enumerate(load.prompts())]
        job = Job(work=work, backend=settings, queries=queries)
        with open_run(str(work.directory), fingerprint={}, config={}, queries=queries):
            workers = start_workers(job, cluster)
            await asyncio.gather(*(worker.join.remote(engines) for worker in workers))
            driver = Driver(job, engines, workers, lambda progress: None, have_joined=True)
            started_s = time.monotonic()
            records = await driver.run()
            seconds = time.monotonic() - started_s
            await asyncio.gather(*(worker.close.remote() for worker in workers))
    return sum(record.usage.generated_tokens for record in records) / seconds
