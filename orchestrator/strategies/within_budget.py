"""A batch of questions within a budget: the strategy that draws as `budget` says.

Questions share one budget, so all of them are decided together. The samples of the batch are in
memory until it has been answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from nbest.orchestrator.errors import EngineDead, OutOfBudget, StoreError
from nbest.orchestrator.protocols import Extractor, Sampler, Strategy
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.query.fanout import draw
from nbest.orchestrator.query.selection import merge_answers, read_answers, with_calls
from nbest.orchestrator.strategies.budget import BatchBudget
from nbest.orchestrator.tasks import task_group
from nbest.orchestrator.types import Candidates, Query, Selection, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinBudget(Choice):
    """A `BatchStrategy`: draw where it may still change an answer until the budget is spent.

    Votes decide which question gets the next sample; `select` chooses the answer from the samples
    that a question got.

    Example: `run(queries, WithinBudget(budget=BatchBudget(average=8), select=MajorityVote()),
    backend)`
    """

    budget: BatchBudget

    async def draw(
        self, queries: Sequence[Query], samplers: Sequence[Sampler]
    ) -> Sequence[Strategy]:
        """Spend the budget on the questions; each of the strategies [Q] only has to choose."""
        pairs = zip(queries, samplers, strict=True)
        questions = [
            _Question(strategy=self, query=query, sampler=sampler, extract=cache(self.extract))
            for query, sampler in pairs
        ]
        while True:
            answers = [question.candidates.answers for question in questions]
            closed = {place for place, question in enumerate(questions) if question.is_closed}
            spent = sum(question.tokens for question in questions)
            counts = Counter(self.budget.next(answers, spent, closed))
            if not counts:
                return [question.end() for question in questions]
            async with task_group() as group:
                for place, count in counts.items():
                    group.create_task(questions[place].draw(count))


@dataclass(slots=True, kw_only=True)
class _Question:
    """One question of the batch and the samples that it has got so far."""

    strategy: WithinBudget
    query: Query
    sampler: Sampler
    extract: Extractor  # it reads each text only once
    candidates: Candidates = field(default_factory=lambda: Candidates(samples=(), answers=()))
    tokens: int = 0  # generated for the candidates
    failure: Exception | None = None  # the end of this question, not of the batch

    @property
    def is_closed(self) -> bool:
        """Whether more would be wasted: an engine refuses the question, or dies of it."""
        samples = self.candidates.samples
        return self.failure is not None or any(s.status is Status.ERROR for s in samples)

    async def draw(self, count: int) -> None:
        """Draw this many more samples and read their answers."""
        places = range(len(self.candidates), len(self.candidates) + count)
        try:
            more = await draw(self.sampler, places, self.strategy.sampling())
            self.tokens += sum(sample.generated_tokens for sample in more)
            candidates = read_answers((*self.candidates.samples, *more), self.extract)
            self.candidates = await merge_answers(self.query, candidates, self.strategy.equivalence)
        except (EngineDead, StoreError):  # the run's trouble, not this question's
            raise
        # A quarantine, or any failure of an extractor (it may be a plugin) on a model's text.
        except Exception as failure:  # noqa: BLE001
            self.failure = failure

    def end(self) -> _ChooseFromDrawn:
        return _ChooseFromDrawn(
            strategy=self.strategy, candidates=self.candidates, failure=self.failure
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _ChooseFromDrawn:
    """A `Strategy` that has its samples and draws no more."""

    strategy: WithinBudget
    candidates: Candidates
    failure: Exception | None

    async def __call__(self, query: Query, sampler: Sampler) -> Selection:
        if self.failure is not None:
            raise self.failure
        if not self.candidates.samples:
            raise OutOfBudget("the budget of the batch was spent before its first sample")
        candidates = with_calls(self.candidates, sampler)
        return await self.strategy.of_candidates(query, candidates)
