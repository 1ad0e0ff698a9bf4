"""Budget forcing: a thought is made longer by "Wait", and ended by force at its budget.

s1: Muennighoff et al. 2025, arXiv 2501.19393, section 3.1.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import numpy as np

from nbest.orchestrator.protocols import NodeSampler
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.search.grown import Grown, TreeStrategy
from nbest.orchestrator.tasks import task_group
from nbest.orchestrator.types import Prefix, Query, Sample, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetForcing(TreeStrategy):
    """Draw n answers whose thoughts go on where the model would end them.

    Where the model says the token `end`, `wait` is put in its place, `waits` times at most. A
    thought has `budget` tokens in all; at the last one it is ended by `closing`, as it is when the
    model ends it for good. What is put in is no generated token, and is on no bill but as a prompt.
    `params` are those of the answer after the thought.

    Example: `BudgetForcing(n=4, end=151668, waits=1, budget=4096, select=MajorityVote())`
    """

    n: int
    end: int  # the id of the token that ends a thought, as that of </think>
    budget: int  # tokens of a thought, all its parts together
    waits: int = 1
    wait: str = "Wait"
    closing: str = "</think>\n\n"

    def __post_init__(self) -> None:
        Choice.__post_init__(self)
        require(self.n >= 1, "n", "be at least 1", self.n)
        require(self.end >= 0, "end", "be a token id", self.end)
        require(self.budget >= 1, "budget", "be at least 1 token", self.budget)
        require(self.waits >= 0, "waits", "be at least 0", self.waits)
        for name in ("wait", "closing"):
            require(bool(getattr(self, name)), name, "be a text", getattr(self, name))

    async def grown(self, query: Query, sampler: NodeSampler) -> Grown:
        """Draw the n answers, each after its thought."""
        tasks: list[asyncio.Task[Sample]] = []
        async with task_group() as group:
            for place in range(self.n):
                tasks.append(group.create_task(self._answer(place, sampler)))
        answers = tuple(task.result() for task in tasks)
        return Grown(
            chains=answers,
            weights=np.full(len(answers), np.nan),
            tokens=sum(answer.generated_tokens for answer in answers),
            pruned_tokens=0,
        )

    async def _answer(self, place: int, sampler: NodeSampler) -> Sample:
        """Draw one answer: the parts of its thought, then what it says."""
        parts: list[Sample] = []
        prefix: Prefix = ()
        thought = ""
        for part in range(self.waits + 1):
            params = self._thinking(self.budget - sum(p.generated_tokens for p in parts))
            sample = await sampler.step((place, part), prefix, params)
            parts.append(sample)
            is_ended = sample.status is Status.OK and sample.stop == str(self.end)
            if not is_ended and sample.status is not Status.TRUNCATED:
                return _joined(parts, thought, sample)  # it failed, or answered without a thought
            ids = sample.token_ids[:-1] if is_ended else sample.token_ids
            thought, prefix = thought + sample.text, (*prefix, *ids)
            spent = sum(p.generated_tokens for p in parts)
            if not is_ended or part == self.waits or spent >= self.budget:
                break
            thought, prefix = thought + self.wait, (*prefix, self.wait)
        path = (place, self.waits + 1)
        answer = await sampler.step(path, (*prefix, self.closing), self.sampling())
        return _joined([*parts, answer], thought, answer)

    def _thinking(self, left: int) -> SamplingParams:
        """The parameters of a part of a thought, which has so many tokens left."""
        params = self.sampling()
        ends = (*params.stop_token_ids, self.end)
        return replace(params, max_tokens=left, min_tokens=0, stop=(), stop_token_ids=ends)


def _joined(parts: list[Sample], thought: str, answer: Sample) -> Sample:
    """The answer with its thought, and with what all parts have cost."""
    has_logprobs = all(part.logprobs is not None for part in parts)
    logprobs = [value for part in parts for value in part.logprobs or ()]
    thinking = sum(part.generated_tokens for part in parts if part is not answer)
    return replace(
        answer,
        reasoning=thought.removeprefix("<think>").strip(),
        reasoning_tokens=thinking,
        token_ids=tuple(token for part in parts for token in part.token_ids),
        logprobs=tuple(logprobs) if has_logprobs else None,
        top_logprobs=None,  # of the answer alone they would not fit the tokens
        prompt_tokens=parts[0].prompt_tokens,
        cached_tokens=parts[0].cached_tokens,
        generated_tokens=thinking + answer.generated_tokens,
        first_token_s=parts[0].first_token_s,
        total_s=sum(part.total_s for part in parts),
    )
