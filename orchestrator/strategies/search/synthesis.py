"""Synthesis: new answers, each made of several earlier ones."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nbest.orchestrator.protocols import NodeSampler
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.query.fanout import draw
from nbest.orchestrator.requirements import require
from nbest.orchestrator.strategies.search.grown import Grown, TreeStrategy
from nbest.orchestrator.strategies.search.plan import generator
from nbest.orchestrator.tasks import task_group
from nbest.orchestrator.types import Message, Prompt, Query, Sample, Status

WORDS = (
    "Here are several answers to this question. Some may be wrong, and even the best may be "
    "incomplete. Work out one answer that is better than each of them."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis(TreeStrategy):
    """Draw n answers; in each round, make n new ones of k each; choose among the last.

    With several rounds this is recursive self-aggregation (Venkatraman et al. 2025, arXiv
    2509.26626); with k = n and one round, generative synthesis of all. Answers that failed or were
    cut off are never shown; where none is left, the answers before stand.

    Example: `Synthesis(n=16, k=4, rounds=2, select=MajorityVote(), extract=LastNumber())`
    """

    n: int
    k: int = 4  # answers that are shown for a new one
    rounds: int = 1
    words: str = WORDS
    seed: int = 0  # of which answers are shown together

    def __post_init__(self) -> None:
        Choice.__post_init__(self)
        require(self.n >= 1, "n", "be at least 1", self.n)
        require(1 <= self.k <= self.n, "k", f"lie in 1..{self.n}, n", self.k)
        require(self.rounds >= 1, "rounds", "be at least 1", self.rounds)

    async def grown(self, query: Query, sampler: NodeSampler) -> Grown:
        """Draw the answers of all rounds; the last ones are chosen from, the others pruned."""
        answers = await draw(sampler, range(self.n), self.sampling())
        pruned = 0
        for number in range(self.rounds):
            whole = [answer for answer in answers if answer.status is Status.OK]
            if not whole:
                break
            made = await self._round(query, sampler, number, whole)
            is_any = any(answer.status is Status.OK for answer in made)
            pruned += sum(answer.generated_tokens for answer in (answers if is_any else made))
            if not is_any:
                break
            answers = made
        return Grown(
            chains=answers,
            weights=np.full(len(answers), np.nan),
            tokens=pruned + sum(answer.generated_tokens for answer in answers),
            pruned_tokens=pruned,
        )

    async def _round(
        self, query: Query, sampler: NodeSampler, number: int, answers: Sequence[Sample]
    ) -> tuple[Sample, ...]:
        """The new answers of a round; which ones are shown for each follows from the seed."""
        tasks: list[asyncio.Task[Sample]] = []
        async with task_group() as group:
            for place in range(self.n):
                rng = generator(f"{self.seed}/{query.id}/{number}", place)
                count = min(self.k, len(answers))
                shown = [answers[i] for i in rng.choice(len(answers), count, replace=False)]
                prompt = with_answers(query.prompt, shown, self.words)
                revised = sampler.revise((number, place), prompt, self.sampling())
                tasks.append(group.create_task(revised))
        return tuple(task.result() for task in tasks)


def with_answers(prompt: Prompt, answers: Sequence[Sample], words: str) -> Prompt:
    """The prompt with answers to it: in the last turn of a chat, or after a text."""
    listed = "\n\n".join(
        f"Answer {place}:\n{answer.text.strip()}" for place, answer in enumerate(answers, start=1)
    )
    if isinstance(prompt, str):
        return f"{prompt}\n\n{words}\n\n{listed}\n\n"
    *before, last = prompt
    return (*before, Message(role=last.role, content=f"{last.content}\n\n{words}\n\n{listed}"))
