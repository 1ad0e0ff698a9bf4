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
from nbest.orchestrator.query.score_cache import CachedScores, with_score_cache
from nbest.orchestrator.query.selection import candidates_at
from nbest.orchestrator.run.job import Work
from nbest.orchestrator.run.local import open_loop
from nbest.orchestrator.strategies.adaptive import Adaptive
from nbest.orchestrator.strategies.stop_on_scores import ReservationStop
from nbest.orchestrator.strategies.stop_on_votes import EValueStop
from nbest.orchestrator.types import Candidates, Query, Request, Sample, Scores

QUERY = Query(id="q", prompt="?")


@dataclass(frozen=True, kw_only=True)
class Counting:
    """Scores by the length of the text, and counts how often each sample was scored."""

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


def score(scorer: Scorer, pool: Candidates) -> list[float]:
    return asyncio.run(_call(scorer, pool)).tolist()


async def _call(scorer: Scorer, pool: Candidates) -> Scores:
    return await scorer(QUERY, pool)


@pytest.mark.parametrize(
    "scorer",
    [Longest(), WeightedVote(by=Longest()), MajorityOfBests(by=Longest(), m=2), MajorityVote()],
    ids=repr,
)
@given(texts=st.lists(st.sampled_from(["7", "42", None]), min_size=1, max_size=9))
def test_scores_are_those_of_the_plain_scorer(scorer: Scorer, texts: list[str | None]) -> None:
    caching, pool = with_score_cache(scorer), candidates(texts)
    assert caching.needs_logprobs == scorer.needs_logprobs
    for n in range(1, len(texts) + 1):
        some = candidates_at(pool, range(n))
        assert score(caching, some) == pytest.approx(score(scorer, some), nan_ok=True)


def test_each_sample_is_scored_once() -> None:
    counting, pool = Counting(), candidates(["7"] * 5)
    for caching in (with_score_cache(counting), with_score_cache(WeightedVote(by=counting))):
        counting.seen.clear()
        for n in (1, 3, 5, 5):
            score(caching, candidates_at(pool, range(n)))
        assert set(counting.seen.values()) == {1}
        assert len(counting.seen) == 5


def test_a_sample_whose_answer_is_named_anew_is_scored_anew() -> None:
    counting = Counting()
    caching = with_score_cache(counting)
    score(caching, candidates(["7"]))
    score(caching, candidates(["7.0"]))
    assert counting.seen == {"s0": 2}


def test_what_compares_candidates_or_is_no_dataclass_stays_as_it_is() -> None:
    class Plain:
        needs_logprobs: int | None = None

        async def __call__(self, query: Query, candidates: Candidates) -> Scores:
            return np.zeros(len(candidates))

    vote, plain = MajorityVote(), Plain()
    assert with_score_cache(vote) is vote
    assert with_score_cache(plain) is plain


def test_a_scorer_that_gives_too_many_scores_is_told() -> None:
    with pytest.raises(InputError, match=r"must have shape \(1,\), got \(2,\)"):
        score(CachedScores(by=Counting(extra=1)), candidates(["7"]))


@dataclass(frozen=True)
class CountingExtractor:
    """An extractor that counts how often it reads each text."""

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
    def script(request: Request) -> Reply:
        index = int(request.id.rpartition("/s")[2])
        return Reply(tokens=(f"sample {index} says {index % 2}",))

    async def samples_drawn(extractor: CountingExtractor) -> int:
        strategy = Adaptive(max_n=200, extract=extractor, **changes)
        work = Work(run="r", seed=1, strategy=strategy, directory=None)
        async with open_loop(work, FakeBackend(script=script)) as here:
            result = await here.loop.answer(QUERY)
        assert result.selection is not None, result.record.error
        return result.record.usage.samples

    extractor = CountingExtractor()
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        assert runner.run(samples_drawn(extractor)) > 4
    assert len(extractor.texts) > 4
    assert set(extractor.texts.values()) == {1}
    if isinstance(counting := changes["select"], Counting):
        assert set(counting.seen.values()) == {1}
