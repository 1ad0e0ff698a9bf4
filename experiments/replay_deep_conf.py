"""DeepConf replayed: the strategy itself, on a sampler that hands out stored samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from experiments.evaluate import Case
from experiments.replay_drawn import Drawn, Spent
from experiments.stored_calls import StoredCalls
from experiments.stored_sampler import DrawsNothing
from model_backend.confidence_floor import falls_after
from orchestrator.deep_conf import DeepConf
from orchestrator.protocols import Scorer
from orchestrator.types import Sample, SamplingParams, Status
from scorers import Confidence, WeightedVote


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedDeepConf:
    """DeepConf online by the lowest confidence of a window, votes weighted by the worst tenth.

    It needs samples whose likeliest tokens were kept: `sampling.logprobs: 20`.
    """

    warm_up: int = 16
    keep: float = 0.9
    share: float = 0.95
    window: int = 2048
    k: int = 20

    def __post_init__(self) -> None:
        self._strategy(self.warm_up)  # says what is wrong

    @property
    def select(self) -> Scorer:
        """What it chooses by, and what it is compared with."""
        return WeightedVote(by=Confidence(measure="bottom", window=self.window, k=self.k))

    async def outcomes(self, drawn: Sequence[Drawn]) -> list[Spent]:
        """Of each question by itself."""
        return [await self._outcome(each) for each in drawn]

    async def _outcome(self, drawn: Drawn) -> Spent:
        case = drawn.case
        sampler = StoredOrder(case, drawn.order)
        chosen = await self._strategy(len(drawn.order))(case.query, sampler)
        tokens = sum(sample.generated_tokens for sample in chosen.samples)
        return Spent(answer=chosen.answer, samples=float(len(chosen.samples)), tokens=float(tokens))

    def _strategy(self, max_n: int) -> DeepConf:
        return DeepConf(
            max_n=max_n,
            by=Confidence(measure="lowest", window=self.window, k=self.k),
            select=self.select,
            warm_up=self.warm_up,
            keep=self.keep,
            share=self.share,
            ahead=1,
        )


class StoredOrder(DrawsNothing):
    """A `Sampler` over the stored samples of a question, in an order.

    The answers are those that were read already: they stand for the texts. Below a floor a sample
    ends where a live engine would have ended it.
    """

    def __init__(self, case: Case, order: Sequence[int]) -> None:
        super().__init__(StoredCalls(query_id=case.query.id, find=lambda key: None))
        self._case = case
        self._order = order

    async def __call__(self, index: int, params: SamplingParams) -> Sample:
        place = self._order[index]
        sample = _as_read(
            self._case.candidates.samples[place], self._case.candidates.answers[place]
        )
        if params.floor is None or sample.top_logprobs is None:
            return sample
        length = falls_after(params.floor, sample.top_logprobs.array().tolist())
        if length is None:
            return sample
        return replace(sample, status=Status.TRUNCATED, generated_tokens=length)


def _as_read(sample: Sample, answer: str | None) -> Sample:
    if answer is not None:
        return replace(sample, text=answer)
    return replace(sample, status=Status.UNPARSEABLE) if sample.status is Status.OK else sample
