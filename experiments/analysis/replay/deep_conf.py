"""DeepConf replayed: the strategy itself, on a sampler that hands out stored samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbest.experiments.analysis.replay.ahead import Bill, bill_of
from nbest.experiments.analysis.replay.drawn import Drawn, Spent
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.stored_calls import StoredCalls
from nbest.experiments.runs.stored_sampler import DrawsNothing
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.score_cache import CachedScores
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.deep_conf import DeepConf
from nbest.orchestrator.types import Sample, Scores, Status, TopLogprobs
from nbest.scorers.confidence.trace import Confidence, token_confidence, window_means
from nbest.scorers.votes.weighted import WeightedVote


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedDeepConf:
    """DeepConf online by the lowest confidence of a window, votes weighted by the worst tenth.

    It needs samples whose likeliest tokens were kept: `sampling.logprobs: 20`. After the warm-up
    `ahead` samples are under way at any time, as in `DeepConf`: those that are when it stops are
    paid for up to then.
    """

    warm_up: int = 16
    keep: float = 0.9
    share: float = 0.95
    window: int = 2048
    k: int = 20
    ahead: int = 4
    known: dict[str, KnownTraces] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        require(self.ahead >= 1, "ahead", "be at least 1", self.ahead)
        self._strategy(self.warm_up, self.traces())  # says what is wrong

    @property
    def select(self) -> Scorer:
        """The scorer by which it chooses, here and from all samples."""
        return WeightedVote(by=Confidence(measure="bottom", window=self.window, k=self.k))

    async def outcomes(self, drawn: Sequence[Drawn]) -> list[Spent]:
        """Run the strategy on each question by itself."""
        return [await self._outcome(question) for question in drawn]

    async def _outcome(self, drawn: Drawn) -> Spent:
        query = drawn.case.query
        traces = self.known.setdefault(query.id, self.traces())
        sampler = StoredOrder(drawn.case, drawn.order, traces)
        chosen = await self._strategy(len(drawn.order), traces)(query, sampler)
        count = len(chosen.samples)
        warm = drawn.costs()[: self.warm_up]
        bill = await self._bill(sampler, drawn, count - self.warm_up)
        last_s = max(cost.seconds for cost in warm)
        return Spent(
            answer=chosen.answer,
            samples=float(count),
            tokens=sum(cost.tokens for cost in warm) + bill.tokens,
            seconds=last_s + bill.ended_s if drawn.is_timed else math.nan,
            counted=float(sum(sample.generated_tokens for sample in chosen.samples)),
            started=float(self.warm_up + bill.started),
        )

    async def _bill(self, sampler: StoredOrder, drawn: Drawn, count: int) -> Bill:
        """What the `count` samples after the warm-up cost, and those under way when they ended."""
        if not count:
            return Bill(started=0, tokens=0.0, ended_s=0.0)
        last = min(len(drawn.order), self.warm_up + count + self.ahead - 1)
        whole = drawn.costs()[self.warm_up : last]
        ended = [await sampler(index, sampler.params) for index in range(self.warm_up, last)]
        pairs = zip(whole, ended, strict=True)
        return bill_of([cost.upto(s.generated_tokens) for cost, s in pairs], count, self.ahead)

    def traces(self) -> KnownTraces:
        """Fresh traces, for a question of which nothing has been computed yet."""
        return KnownTraces(
            lowest=Lowest(
                by=Confidence(measure="lowest", window=self.window, k=self.k),
                window=self.window,
                k=self.k,
            ),
            bottom=CachedScores(by=Confidence(measure="bottom", window=self.window, k=self.k)),
        )

    def _strategy(self, max_n: int, traces: KnownTraces) -> DeepConf:
        return DeepConf(
            max_n=max_n,
            by=traces.lowest,
            select=WeightedVote(by=traces.bottom),
            warm_up=self.warm_up,
            keep=self.keep,
            share=self.share,
            ahead=1,  # stored samples come at once; what else is under way is in the bill
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowest(CachedScores):
    """The lowest confidence of a window, computed once for all orders of the samples."""

    window: int
    k: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTraces:
    """What is computed of the traces of a question; it does not depend on their order."""

    lowest: Lowest
    bottom: CachedScores
    lows: dict[str, Lows] = field(default_factory=dict)  # by sample id

    def falls_after(self, sample: Sample, level: float) -> int | None:
        """The length at which a sample falls below the level, as `confidence_floor.falls_after`."""
        if sample.top_logprobs is None:
            return None
        lows = self.lows.get(sample.id)
        if lows is None:
            means = whole_windows(sample.top_logprobs, self.lowest.window, self.lowest.k)
            lows = self.lows[sample.id] = lows_of(means)
        place = lows.first_below(level)
        return None if place is None else self.lowest.window + place


class Lows(NamedTuple):
    """Where means reach a new low, and how low: some ten of the thousands that a trace has.

    All others cannot be the first below any level, and they would fill the memory.
    """

    places: NDArray[np.int64]
    values: Scores  # falling

    def first_below(self, level: float) -> int | None:
        """The place of the first mean below the level; None where there is none."""
        low = int(np.searchsorted(-self.values, -level, side="right"))
        return int(self.places[low]) if low < len(self.places) else None


def lows_of(means: Scores) -> Lows:
    before = np.minimum.accumulate(np.concatenate(([np.inf], means)))[:-1]
    places = np.flatnonzero(means < before)
    return Lows(places=places, values=means[places])


def whole_windows(top: TopLogprobs, window: int, k: int) -> Scores:
    """[T - window + 1] the mean confidence of each window; none where the trace is shorter."""
    confidence = token_confidence(top.array()[:, :k])
    return window_means(confidence, window) if len(confidence) >= window else np.empty(0)


class StoredOrder(DrawsNothing):
    """A `Sampler` over the stored samples of a question, in an order.

    The answers are those that were read already: they stand for the texts. Below a floor a sample
    ends where a live engine would have ended it.
    """

    def __init__(self, case: Case, order: Sequence[int], traces: KnownTraces) -> None:
        super().__init__(StoredCalls(query_id=case.query.id, find=lambda key: None))
        self._case = case
        self._order = order
        self._traces = traces
        self.params = SamplingParams()  # of the last sample that was asked for

    async def __call__(self, index: int, params: SamplingParams) -> Sample:
        self.params = params
        place = self._order[index]
        sample = _as_read(
            self._case.candidates.samples[place], self._case.candidates.answers[place]
        )
        if params.floor is None:
            return sample
        length = self._traces.falls_after(sample, params.floor.level)
        if length is None:
            return sample
        return replace(sample, status=Status.TRUNCATED, generated_tokens=length)


def _as_read(sample: Sample, answer: str | None) -> Sample:
    if answer is not None:
        return replace(sample, text=answer)
    return replace(sample, status=Status.UNPARSEABLE) if sample.status is Status.OK else sample
