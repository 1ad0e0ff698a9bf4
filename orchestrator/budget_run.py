"""Answers a batch of questions within a budget of samples, in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.budget import BatchBudget
from orchestrator.errors import Quarantined
from orchestrator.job import Work
from orchestrator.local import open_loop
from orchestrator.protocols import BackendConfig, Sampler
from orchestrator.selection import merge_answers, read_answers
from orchestrator.strategies import BestOfN
from orchestrator.tasks import task_group
from orchestrator.types import Query, Record, Sample, SamplingParams, Selection, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """`BestOfN` with a number of its own for each question: what a budget has come to."""

    each: BestOfN
    n: Mapping[str, int]  # by query id

    async def __call__(self, query: Query, sampler: Sampler) -> Selection:
        return await replace(self.each, n=self.n[query.id])(query, sampler)


async def run_within(
    budget: BatchBudget,
    queries: Sequence[Query],
    strategy: BestOfN,
    backend: BackendConfig,
    *,
    seed: int = 0,
    directory: str | None = None,
) -> list[Record]:
    """Answer a batch in this process within a budget; `strategy.n` stands for nothing here.

    With a directory of an open run the samples are stored, and those that it holds are used. A
    record of each query, in their order.
    """
    work = Work(run="run", seed=seed, strategy=strategy, directory=directory)
    async with open_loop(work, backend) as here:
        samplers = [here.loop.sampler(query) for query in queries]
        drawn = await _spend(budget, queries, samplers, strategy)
        counts = {query.id: len(d) for query, d in zip(queries, drawn, strict=True)}
        # From the samples that are there now.
        choosing = replace(here.loop, strategy=Numbered(each=strategy, n=counts))
        answered = [await choosing.answer(query) for query in queries]
        choosing.settle()
    return [each.record for each in answered]


async def _spend(
    budget: BatchBudget,
    queries: Sequence[Query],
    samplers: Sequence[Sampler],
    strategy: BestOfN,
) -> list[list[Sample]]:
    """The samples of each question, in the order of their indices."""
    drawn: list[list[Sample]] = [[] for _ in queries]
    answers: list[Sequence[str | None]] = [() for _ in queries]
    closed: set[int] = set()  # an engine refuses them, or dies of them
    wanted = budget.first(len(queries))
    while wanted:
        samples = await _round(samplers, drawn, wanted, strategy.sampling())
        for q, sample in zip(wanted, samples, strict=True):
            drawn[q].append(sample)
            if sample.status is Status.ERROR:
                closed.add(q)
        for q in set(wanted):
            among = read_answers(drawn[q], strategy.extract)
            answers[q] = (await merge_answers(queries[q], among, strategy.equivalence)).answers
        wanted = budget.next(answers, closed)
    return drawn


async def _round(
    samplers: Sequence[Sampler],
    drawn: Sequence[Sequence[Sample]],
    wanted: Sequence[int],
    params: SamplingParams,
) -> list[Sample]:
    """The next samples of these questions, of which one may be wanted more than once."""
    places = [len(samples) for samples in drawn]
    async with task_group() as group:
        tasks = []
        for q in wanted:
            tasks.append(group.create_task(_drawn(samplers[q], places[q], params)))
            places[q] += 1
    return [task.result() for task in tasks]


async def _drawn(sampler: Sampler, index: int, params: SamplingParams) -> Sample:
    try:
        return await sampler(index, params)
    except Quarantined as error:  # this question's end, which its record will tell
        return Sample(id="", text="", status=Status.ERROR, error=str(error))
