"""Answers that have to keep a rule: each is corrected where it breaks it, then drawn anew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from nbest.orchestrator.protocols import Explains, NodeSampler, Validator
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.query.parts import require_part, result_of
from nbest.orchestrator.query.selection import read_in_turns
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.search.grown import Grown, TreeStrategy
from nbest.orchestrator.strategies.search.revise import after
from nbest.orchestrator.tasks import task_group
from nbest.orchestrator.types import Candidates, Composed, Query, Sample, Selection, Status

CORRECT = "Give the whole answer again, corrected, and nothing else."
FAILED = "it breaks the rule, corrected or not"
BROKEN = "This answer breaks a rule:"


class Composer(Protocol):
    """Puts an answer together from those of all candidates; None where it cannot."""

    async def __call__(self, query: Query, candidates: Candidates) -> Composed | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected(TreeStrategy):
    """Draw n answers; one that breaks the rule is corrected, then drawn again with another seed.

    A correction is a sample of its own: the model sees its answer and why that breaks the rule. An
    answer that was cut off is not corrected, but drawn again. So each of the n answers takes up to
    (1 + corrections)(1 + retries) samples, and the last one counts; one that still breaks the rule
    has no answer: nothing of its text is left here, the stored sample has it. With `compose` the
    answer may be one that no single sample gave; it has to keep the rule as well.
    With `half_free`, the first answer and every second one after it are drawn without the
    constraint of `params`, if it has one; their retries too.

    Example: `Corrected(n=4, rule=JsonValid(), select=MajorityVote())`
    """

    n: int = 1
    rule: Validator
    corrections: int = 1
    retries: int = 2
    compose: Composer | None = None
    half_free: bool = False
    words: str = CORRECT  # said to the model after the reasons

    def __post_init__(self) -> None:
        Choice.__post_init__(self)
        require_part("rule", self.rule)
        require(self.n >= 1, "n", "be at least 1", self.n)
        for key in ("corrections", "retries"):
            require(getattr(self, key) >= 0, key, "be at least 0", getattr(self, key))

    async def of_candidates(self, query: Query, candidates: Candidates) -> Selection:
        """Choose by the selector, then put the answer together, if it is to be composed."""
        selection = await TreeStrategy.of_candidates(self, query, candidates)
        if self.compose is None:
            return selection
        composed: Composed | None = await result_of("compose", self.compose, query, candidates)
        if composed is None or not await self._keeps_rule(query, composed.answer):
            return selection
        is_said = [answer == composed.answer for answer in candidates.answers]
        index = is_said.index(True) if any(is_said) else None
        confidence = min(composed.fields.values(), default=selection.confidence)
        is_sure = confidence >= self.min_confidence
        return replace(
            selection,
            answer=composed.answer if is_sure else None,
            index=index if is_sure else None,
            confidence=confidence,
            fields=composed.fields,
        )

    async def grown(self, query: Query, sampler: NodeSampler) -> Grown:
        """Draw the answers; what was corrected or drawn again is pruned."""
        async with task_group() as group:
            lanes = [group.create_task(self._lane(query, sampler, lane)) for lane in range(self.n)]
        drawn = [lane.result() for lane in lanes]
        chains = tuple(samples[-1] for samples in drawn)
        tokens = sum(sample.generated_tokens for samples in drawn for sample in samples)
        return Grown(
            chains=chains,
            weights=np.full(len(chains), np.nan),
            tokens=tokens,
            pruned_tokens=tokens - sum(sample.generated_tokens for sample in chains),
        )

    def params_of(self, lane: int) -> SamplingParams:
        """The parameters of an answer and its retries."""
        params = self.sampling()
        is_free = self.half_free and lane % 2 == 0
        return replace(params, constraint=None) if is_free else params

    async def _lane(self, query: Query, sampler: NodeSampler, lane: int) -> list[Sample]:
        """The samples of one answer, up to one that keeps the rule; else the last has failed."""
        params = self.params_of(lane)
        samples: list[Sample] = []
        for attempt in range(1 + self.retries):
            if attempt == 0:
                samples.append(await sampler(lane, params))
            else:  # a retry has a seed of its own
                samples.append(await sampler.revise((lane, attempt), query.prompt, params))
            for correction in range(1 + self.corrections):
                read = await read_in_turns(samples[-1:], self.extract)
                if (await result_of("rule", self.rule, query, read))[0]:
                    return samples
                is_last = correction == self.corrections
                if is_last or samples[-1].status is not Status.OK:
                    break
                prompt = after(query.prompt, samples[-1], await self._reasons(query, read))
                path = (lane, attempt, 1 + correction)
                samples.append(await sampler.revise(path, prompt, params))
        if samples[-1].status is Status.OK:
            samples[-1] = replace(samples[-1], text="", error=FAILED)
        return samples

    async def _keeps_rule(self, query: Query, answer: str) -> bool:
        sample = Sample(id="composed", text=answer)
        read = Candidates(samples=(sample,), answers=(answer,))
        return bool((await result_of("rule", self.rule, query, read))[0])

    async def _reasons(self, query: Query, read: Candidates) -> str:
        """What the model is told of its answer."""
        (sample,), (answer,) = read.samples, read.answers
        reasons: tuple[str, ...] = ()
        if isinstance(self.rule, Explains):  # some rules look at the answer, others at the text
            reasons = () if answer is None else await self.rule.why(query, answer)
            reasons = reasons or await self.rule.why(query, sample.text)
        return "\n".join((BROKEN, *reasons, self.words))
