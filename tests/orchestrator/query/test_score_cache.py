"""Looking again and again: the same choices, each text read and each sample scored once."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import FakeBackend, Longest, MajorityOfBests, MajorityVote, Reply, WeightedVote
from nbest.model_backend.fake.clocks import VirtualTime
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.score_cache import CachedScores, cached
from nbest.orchestrator.query.selection import taken
from nbest.orchestrator.run.job import Work
from nbest.orchestrator.run.local import open_loop
from nbest.orchestrator.strategies.adaptive import Adaptive
from nbest.orchestrator.strategies.stop_on_scores import ReservationStop
from nbest.orchestrator.strategies.stop_on_votes import EValueStop
from nbest.orchestrator.types import Candidates, Query, Request, Sample, Scores

QUERY = Query(id="q", prompt="?")


@dataclass(frozen=True, kw_only=True)
class Counting:
    """The length of the text, and how often each was looked at."""

    is_pointwise: ClassVar[bool] = True
    needs_logprobs: ClassVar[int | None] = 3

    seen: Counter[str] = field(default_factory=Counter)
    extra: int = 0

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        self.seen.update(sample.id for sample in candidates.samples)
        return np.array([float(len(s.text)) for s in candidates.samples] + [0.0] * self.extra)


def candidates(texts: list[str | None]) -> Candidates:
    samples = tuple(Sample(id=f"s{i}", text=text or "") for i, text in enumerate(texts))
    return Candidates(samples=samples, answers=tuple(texts))


def score(scorer: Scorer, among: Candidates) -> list[float]:
    return asyncio.run(_awaited(scorer, among)).tolist()


async def _awaited(scorer: Scorer, among: Candidates) -> Scores:
    return await scorer(QUERY, among)


@pytest.mark.parametrize(
    "scorer",
    [Longest(), WeightedVote(by=Longest()), MajorityOfBests(by=Longest(), m=2), MajorityVote()],
    ids=repr,
)
@given(texts=st.lists(st.sampled_from(["7", "42", None]), min_size=1, max_size=9))
def test_scores_are_those_of_the_plain_scorer(scorer: Scorer, texts: list[str | None]) -> None:
    again, among = cached(scorer), candidates(texts)
    assert again.needs_logprobs == scorer.needs_logprobs
    for n in range(1, len(texts) + 1):
        some = taken(among, range(n))
        assert score(again, some) == pytest.approx(score(scorer, some), nan_ok=True)


def test_each_sample_is_scored_once() -> None:
    counting, among = Counting(), candidates(["7"] * 5)
    for again in (cached(counting), cached(WeightedVote(by=counting))):
        counting.seen.clear()
        for n in (1, 3, 5, 5):
            score(again, taken(among, range(n)))
        assert set(counting.seen.values()) == {1}
        assert len(counting.seen) == 5


def test_a_sample_whose_answer_is_named_anew_is_scored_anew() -> None:
    counting = Counting()
    again = cached(counting)
    score(again, candidates(["7"]))
    score(again, candidates(["7.0"]))
    assert counting.seen == {"s0": 2}


def test_what_compares_candidates_or_is_no_dataclass_stays_as_it_is() -> None:
    class Plain:
        needs_logprobs: int | None = None

        async def __call__(self, query: Query, candidates: Candidates) -> Scores:
            return np.zeros(len(candidates))

    vote, plain = MajorityVote(), Plain()
    assert cached(vote) is vote
    assert cached(plain) is plain


def test_a_scorer_that_gives_too_many_scores_is_told() -> None:
    with pytest.raises(InputError, match=r"must have shape \(1,\), got \(2,\)"):
        score(CachedScores(by=Counting(extra=1)), candidates(["7"]))


@dataclass(frozen=True)
class Reading:
    """An extractor that keeps count."""

    texts: Counter[str] = field(default_factory=Counter)

    def __call__(self, text: str) -> str | None:
        self.texts[text] += 1
        return text.split()[-1]


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": EValueStop(), "select": MajorityVote()},
        {"rule": ReservationStop(cost=1e-9), "select": Counting()},
    ],
    ids=["answers", "scores"],
)
def test_an_adaptive_run_reads_each_text_once(changes: dict[str, Any]) -> None:
    def said(request: Request) -> Reply:
        index = int(request.id.rpartition("/s")[2])
        return Reply(tokens=(f"sample {index} says {index % 2}",))

    async def answered(reading: Reading) -> int:
        strategy = Adaptive(max_n=200, extract=reading, **changes)
        work = Work(run="r", seed=1, strategy=strategy, directory=None)
        async with open_loop(work, FakeBackend(script=said)) as here:
            found = await here.loop.answer(QUERY)
        assert found.selection is not None, found.record.error
        return found.record.usage.samples

    reading = Reading()
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        assert runner.run(answered(reading)) > 4
    assert len(reading.texts) > 4
    assert set(reading.texts.values()) == {1}
    if isinstance(counting := changes["select"], Counting):
        assert set(counting.seen.values()) == {1}
