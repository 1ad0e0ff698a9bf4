"""`nbest bench reward`: the same texts through plain vLLM pooling and nbest on Ray, in turns.

Ours reads samples from a run's folder, has them rated, chooses, and stores every score on disk
before its clock stops; plain vLLM keeps nothing. Torch alone rates the same texts, to show whether
the scores agree.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path

from nbest.model_backend.models.names import resolve_model
from nbest.model_backend.reward.text import reward_ids
from nbest.model_backend.reward.torch_settings import TorchReward
from nbest.model_backend.vllm.plain import EncodeCall, PlainVLLM, plain_vllm
from nbest.model_backend.vllm.reward import VLLMReward
from nbest.orchestrator.cluster.actors import start_model_engines, start_workers
from nbest.orchestrator.cluster.driver import Driver
from nbest.orchestrator.cluster.session import ray_session
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.cluster.worker import EngineHandle
from nbest.orchestrator.ids import sample_id
from nbest.orchestrator.query.model_calls import models_of
from nbest.orchestrator.run.job import Job, Work
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.run_store import open_store
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.types import Query, Request, Sample
from nbest.scorers.judges.reward import RewardModel


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardLoad:
    """What both sides rate in each round."""

    queries: int
    n: int

    def prompt(self, round_: int, query: int) -> str:
        return f"Q: A shop sells {query + 3} boxes of {round_ + 5} pens. How many pens?\nA:"

    def response(self, query: int, index: int) -> str:
        """A response of some fifty tokens; all responses to a query differ."""
        steps = " ".join(f"Then {query} and {index} make {query + i * index}." for i in range(4))
        return f" We count the boxes first. {steps} So the answer is {query * index + 1}."


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardRound:
    """Texts a second of each side."""

    plain_texts_per_s: float
    nbest_texts_per_s: float

    @property
    def ratio(self) -> float:
        return self.nbest_texts_per_s / self.plain_texts_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardCompared:
    """Medians over the rounds; the ratio is the median of the rounds' own ratios."""

    ratio: float
    plain_texts_per_s: float
    nbest_texts_per_s: float
    rounds: int
    rank_correlation: float  # Spearman's, of vLLM's scores and torch's
    largest_difference: float  # of a score
    texts_compared: int

    def as_json(self) -> dict[str, float | int]:
        return asdict(self)


def compare_rewards(
    settings: VLLMReward, load: RewardLoad, rounds: int, tell: Callable[[RewardRound], None]
) -> RewardCompared:
    """Alternate the two; the first round of each warms up and does not count."""
    cluster = Cluster()
    with plain_vllm(settings.engine, "pooling") as plain:
        with ray_session(cluster):
            measured = asyncio.run(_rounds(settings, load, rounds, plain, cluster, tell))
        ids = _ids(settings, load, round_=0)[:200]
        fast = plain.rate(EncodeCall(ids=ids)).scores
    slow = asyncio.run(_by_torch(settings, load, len(ids)))
    from scipy.stats import spearmanr

    return RewardCompared(
        ratio=statistics.median(r.ratio for r in measured),
        plain_texts_per_s=statistics.median(r.plain_texts_per_s for r in measured),
        nbest_texts_per_s=statistics.median(r.nbest_texts_per_s for r in measured),
        rounds=rounds,
        rank_correlation=float(spearmanr(fast, slow).statistic),
        largest_difference=max(abs(a - b) for a, b in zip(fast, slow, strict=True)),
        texts_compared=len(ids),
    )


async def _rounds(
    settings: VLLMReward,
    load: RewardLoad,
    rounds: int,
    plain: PlainVLLM,
    cluster: Cluster,
    tell: Callable[[RewardRound], None],
) -> list[RewardRound]:
    engines = start_model_engines(models_of(RewardModel(settings)), cluster)
    await asyncio.gather(*(handle.actor.ready.remote() for handle in engines))
    measured: list[RewardRound] = []
    count = load.queries * load.n
    for i in range(rounds + 1):
        call = EncodeCall(ids=_ids(settings, load, round_=i))
        rated = await asyncio.to_thread(plain.rate, call)
        ours_s = await _our_seconds(settings, load, i, engines, cluster)
        result = RewardRound(
            plain_texts_per_s=count / rated.seconds, nbest_texts_per_s=count / ours_s
        )
        if i > 0:
            measured.append(result)
            tell(result)
    return measured


async def _our_seconds(
    settings: VLLMReward,
    load: RewardLoad,
    round_: int,
    engines: Sequence[EngineHandle],
    cluster: Cluster,
) -> float:
    """The seconds from the first lease to the last commit."""
    with tempfile.TemporaryDirectory() as folder:
        directory = str(Path(folder) / "run")
        strategy = BestOfN(n=load.n, select=RewardModel(settings))
        work = Work(run="bench", seed=round_, strategy=strategy, directory=directory)
        queries = [
            Query(id=f"r{round_}q{q}", prompt=load.prompt(round_, q)) for q in range(load.queries)
        ]
        job = Job(work=work, backend=None, queries=queries)
        with open_run(directory, fingerprint={}, config={}, queries=queries):
            await _store_samples(directory, queries, load)
            workers = start_workers(job, cluster)
            await asyncio.gather(*(worker.join.remote(engines) for worker in workers))
            driver = Driver(job, engines, workers, lambda progress: None, have_joined=True)
            started_s = time.monotonic()
            records = await driver.run()
            seconds = time.monotonic() - started_s
            await asyncio.gather(*(worker.close.remote() for worker in workers))
    assert all(record.answer is not None for record in records)
    return seconds


async def _store_samples(directory: str, queries: Sequence[Query], load: RewardLoad) -> None:
    async with aclosing(await open_store(directory)) as store:
        for q, query in enumerate(queries):
            for i in range(load.n):
                text = load.response(q, i)
                store.add(query.id, i, Sample(id=sample_id("bench", query.id, i), text=text))


def _ids(settings: VLLMReward, load: RewardLoad, round_: int) -> tuple[tuple[int, ...], ...]:
    """The token ids that our engine makes of the same texts."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(resolve_model(settings.model))
    longest = settings.max_model_len or 1_000_000
    return tuple(
        reward_ids(tokenizer, load.prompt(round_, q), load.response(q, i), longest).ids
        for q in range(load.queries)
        for i in range(load.n)
    )


async def _by_torch(settings: VLLMReward, load: RewardLoad, count: int) -> list[float]:
    async with TorchReward(settings.model).open() as engine:
        places = [(q, i) for q in range(load.queries) for i in range(load.n)][:count]
        requests = [
            Request(
                id=sample_id("bench", f"q{q}", i),
                prompt=load.prompt(0, q),
                params=SamplingParams(),
                seed=None,
                response=load.response(q, i),
            )
            for q, i in places
        ]
        samples = await asyncio.gather(*map(engine.generate, requests))
    return [json.loads(sample.text)[0] for sample in samples]
