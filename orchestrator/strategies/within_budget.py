"""A batch of questions within a budget: the strategy that draws as `budget` says.

Questions share what there is, so all of them are decided together. The samples of the batch are in
memory until it has been answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from nbest.orchestrator.errors import EngineDead, OutOfBudget, StoreError
from nbest.orchestrator.protocols import Extractor, Sampler, Strategy
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.query.fanout import draw
from nbest.orchestrator.query.selection import merge_answers, read_answers
from nbest.orchestrator.strategies.budget import BatchBudget
from nbest.orchestrator.tasks import task_group
from nbest.orchestrator.types import (
    Candidates,
    Query,
    Selection,
    Status,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinBudget(Choice):
    """A `BatchStrategy`: draw where it may still change an answer until the budget is spent.

    Which question gets the next sample is decided by votes; the answer is the choice of `select`
    candidates what a question got.

    Example: `run(queries, WithinBudget(budget=BatchBudget(average=8), select=MajorityVote()),
    backend)`
    """

    budget: BatchBudget

    async def draw(
        self, queries: Sequence[Query], samplers: Sequence[Sampler]
    ) -> Sequence[Strategy]:
        """Spend the budget on them; for each, what is left to do: to choose."""
        pairs = zip(queries, samplers, strict=True)
        questions = [
            _Question(strategy=self, query=query, sampler=sampler, extract=cache(self.extract))
            for query, sampler in pairs
        ]
        while True:
            answers = [question.candidates.answers for question in questions]
            closed = {place for place, question in enumerate(questions) if question.is_closed}
            spent = sum(question.tokens for question in questions)
            wanted = Counter(self.budget.next(answers, spent, closed))
            if not wanted:
                return [question.end() for question in questions]
            async with task_group() as group:
                for place, count in wanted.items():
                    group.create_task(questions[place].draw(count))


@dataclass(slots=True, kw_only=True)
class _Question:
    """What one question has got so far."""

    strategy: WithinBudget
    query: Query
    sampler: Sampler
    extract: Extractor  # which reads a text only once
    candidates: Candidates = field(default_factory=lambda: Candidates(samples=(), answers=()))
    tokens: int = 0  # generated for them
    failure: Exception | None = None  # the end of this question, not of the batch

    @property
    def is_closed(self) -> bool:
        """Whether more would be wasted: an engine refuses the question, or dies of it."""
        samples = self.candidates.samples
        return self.failure is not None or any(s.status is Status.ERROR for s in samples)

    async def draw(self, count: int) -> None:
        """The next so many samples, and what they answer."""
        places = range(len(self.candidates), len(self.candidates) + count)
        try:
            more = await draw(self.sampler, places, self.strategy.sampling())
            self.tokens += sum(sample.generated_tokens for sample in more)
            read = read_answers((*self.candidates.samples, *more), self.extract)
            self.candidates = await merge_answers(self.query, read, self.strategy.equivalence)
        except (EngineDead, StoreError):  # the run's trouble, not this question's
            raise
        # A quarantine, or whatever an extractor, which may be a plugin, makes of a model's text.
        except Exception as failure:  # noqa: BLE001
            self.failure = failure

    def end(self) -> Choosing:
        return Choosing(strategy=self.strategy, candidates=self.candidates, failure=self.failure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choosing:
    """A `Strategy` that has its samples and draws none."""

    strategy: WithinBudget
    candidates: Candidates
    failure: Exception | None

    async def __call__(self, query: Query, sampler: Sampler) -> Selection:
        if self.failure is not None:
            raise self.failure
        if not self.candidates.samples:
            raise OutOfBudget("the budget of the batch was spent before its first sample")
        candidates = replace(self.candidates, ask=sampler.ask, rate=sampler.rate)
        return await self.strategy.among(query, candidates)
