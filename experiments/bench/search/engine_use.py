"""What a search makes of an engine, beside whole answers of as many tokens.

Three things cost: what is generated and pruned, what is computed again because a step is a request
of its own, and slots that stay empty while a level waits for its slowest step.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from nbest.model_backend.fake.chains import ChainScript
from nbest.model_backend.fake.engine import FakeBackend
from nbest.model_backend.fake.script import Reply, Script
from nbest.model_backend.vllm.settings import VLLM
from nbest.orchestrator.errors import BackendError
from nbest.orchestrator.protocols import Backend, BackendConfig, Strategy
from nbest.orchestrator.run.job import Job, Work
from nbest.orchestrator.run.local import run_here
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.strategies.search.levels import DVTS, Beam, Rebase
from nbest.orchestrator.strategies.search.particles import ParticleFilter
from nbest.orchestrator.strategies.search.plan import PlanSettings
from nbest.orchestrator.strategies.search.search import Search
from nbest.orchestrator.strategies.search.steps import Step
from nbest.orchestrator.types import Outcome, Query, Request, Sample, Usage
from nbest.scorers.confidence.logprob import MeanLogprob

N, WIDTH = 16, 4
STEP_TOKENS, STEPS = 24, 6
PLANS: Mapping[str, PlanSettings] = {
    "beam": Beam(n=N, width=WIDTH),
    "DVTS": DVTS(n=N, width=WIDTH),
    "REBASE": Rebase(n=N),
    "filter": ParticleFilter(n=N, target="log"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineUse:
    """What one search made of an engine; ratios are the median over the rounds."""

    name: str
    pruned: float  # share of the generated tokens that are on no chain that ended
    recomputed: float  # prompt tokens that were not in the cache, by generated token
    recomputed_whole: float  # the same of whole answers
    idle: float  # share of the slots' time in which no request was in them
    slowdown: float  # seconds a token, by those of whole answers

    def as_json(self) -> dict[str, object]:
        """The line of `--json`."""
        return asdict(self)


@dataclass(slots=True)
class Gauge:
    """How full an engine was, over time."""

    in_flight: int = 0
    slot_s: float = 0.0  # requests in flight, added up over time
    began_s: float | None = None
    changed_s: float = 0.0

    def change(self, by: int) -> None:
        """Note that a request has come or gone."""
        now_s = time.monotonic()
        if self.began_s is None:
            self.began_s = self.changed_s = now_s
        self.slot_s += self.in_flight * (now_s - self.changed_s)
        self.in_flight, self.changed_s = self.in_flight + by, now_s

    @property
    def wall_s(self) -> float:
        """From the first request to the end of the last."""
        return 0.0 if self.began_s is None else self.changed_s - self.began_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauged:
    """A live backend whose settings are those of another, and that notes how full it is."""

    settings: BackendConfig
    live: Backend
    gauge: Gauge = field(default_factory=Gauge, repr=False)

    @property
    def max_concurrency(self) -> int:
        return self.settings.max_concurrency

    @property
    def gpus(self) -> float:
        return self.settings.gpus

    @property
    def identity(self) -> Mapping[str, str | int | None]:
        return self.settings.identity

    @asynccontextmanager
    async def open(self, name: str = "") -> AsyncIterator[Gauged]:
        yield self

    async def generate(self, request: Request) -> Sample:
        """Have a request answered, and count it meanwhile."""
        self.gauge.change(1)
        try:
            return await self.live.generate(request)
        finally:
            self.gauge.change(-1)

    async def abort(self, request_id: str) -> None:
        await self.live.abort(request_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uneven:
    """A script whose replies take times as uneven as those of a model: exponential ones."""

    then: Script

    def __call__(self, request: Request) -> Reply:
        reply = self.then(request)
        pace = np.random.default_rng([request.seed or 0, 1]).exponential()
        return replace(reply, token_s=reply.token_s * float(pace))


def uneven_fake() -> FakeBackend:
    """A fake engine of 64 slots whose steps take 20 ms in the mean, of very different lengths."""
    script = ChainScript(depth=STEPS, p=0.8, gap=1.0, token_s=0.02)
    return FakeBackend(script=Uneven(then=script), max_concurrency=64)


def small_model(model: str) -> VLLM:
    """A model whose engine has fewer slots than the questions in flight have chains."""
    return VLLM(model, max_model_len=512, max_num_seqs=64)


async def measured_use(
    live: Backend,
    settings: BackendConfig,
    questions: int,
    rounds: int,
    tell: Callable[[str], None],
) -> list[EngineUse]:
    """Run every search and whole answers in turns on one engine; the first round warms up."""
    found: dict[str, list[EngineUse]] = {name: [] for name in PLANS}
    for number in range(rounds + 1):
        queries = [_query(number, i) for i in range(questions)]
        whole = await _run(settings, live, queries, _whole())
        for name, plan in PLANS.items():
            use = _use(name, await _run(settings, live, queries, _search(plan)), whole)
            if number:
                found[name].append(use)
                tell(f"{name}: {use.slowdown:.2f} of the time of whole answers")
    return [_median(uses) for uses in found.values()]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    usage: Usage
    gauge: Gauge
    slots: int


async def _run(
    settings: BackendConfig, live: Backend, queries: list[Query], strategy: Strategy
) -> _Measured:
    gauged = Gauged(settings=settings, live=live)
    work = Work(run="bench", seed=1, strategy=strategy, directory=None)
    job = Job(work=work, backend=gauged, queries=queries)
    records = await run_here(job, lambda progress: None)
    for record in records:
        if record.outcome is Outcome.ERROR:
            raise BackendError(f"{record.query_id}: {record.error}")
    usage = sum((record.usage for record in records), Usage())
    return _Measured(usage=usage, gauge=gauged.gauge, slots=settings.max_concurrency)


def _use(name: str, search: _Measured, whole: _Measured) -> EngineUse:
    pace = {id(m): m.gauge.wall_s / m.usage.generated_tokens for m in (search, whole)}
    gauge = search.gauge
    return EngineUse(
        name=name,
        pruned=search.usage.pruned_tokens / search.usage.generated_tokens,
        recomputed=_recomputed(search.usage),
        recomputed_whole=_recomputed(whole.usage),
        idle=max(0.0, 1.0 - gauge.slot_s / (search.slots * gauge.wall_s)),
        slowdown=pace[id(search)] / pace[id(whole)],
    )


def _recomputed(usage: Usage) -> float:
    return (usage.prompt_tokens - usage.cached_tokens) / usage.generated_tokens


def _median(uses: list[EngineUse]) -> EngineUse:
    names = ("pruned", "recomputed", "recomputed_whole", "idle", "slowdown")
    medians = {name: statistics.median(getattr(use, name) for use in uses) for name in names}
    return EngineUse(name=uses[0].name, **medians)


def _search(plan: PlanSettings) -> Search:
    scorer = MeanLogprob()
    step = Step(stop=("\n",), max_tokens=STEP_TOKENS)
    return Search(
        plan=plan, score=scorer, select=scorer, step=step, params=_params(), max_steps=STEPS
    )


def _whole() -> BestOfN:
    return BestOfN(n=N, select=MeanLogprob(), params=_params())


def _params() -> SamplingParams:
    return SamplingParams(max_tokens=STEPS * STEP_TOKENS, logprobs=0)


def _query(number: int, place: int) -> Query:
    """A list that goes on line by line, of a topic of its own in every round."""
    start = f"Round {number}. {place + 3} things to do on a rainy day in town {place}:\n1. "
    return Query(id=f"r{number}q{place}", prompt=start)
