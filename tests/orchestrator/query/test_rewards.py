"""Reward models in a run: rated once, stored, counted, resumed; here and on Ray alike."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nbest import FakeBackend, LastNumber, Reply, RewardModel, Rewards, SeededAnswers, WeightedVote
from nbest.model_backend.fake.faults import Journal
from nbest.orchestrator.errors import EngineDead, RequestRejected
from nbest.orchestrator.query.model_calls import models_of, rating_key
from nbest.orchestrator.run.job import Job, Work
from nbest.orchestrator.run.local import run_here
from nbest.orchestrator.run.progress import Progress
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.types import Outcome, Query, Record, Request, model_key

SAYS = SeededAnswers(answers=("42", "41", "40"), weights=(5, 3, 2))
QUERIES = [Query(id=f"q{i}", prompt=f"question {i}") for i in range(6)]


@dataclass(frozen=True, slots=True)
class Closeness:
    """Rates a response by how close it is to 41."""

    def __call__(self, response: str) -> Sequence[float]:
        return (-abs(float(response) - 41.0),)


@dataclass(frozen=True, slots=True)
class NotAll:
    """Rates every response but one, at which it fails."""

    fails: str
    error: RequestRejected = field(default_factory=lambda: RequestRejected("too long"))

    def __call__(self, request: Request) -> Reply:
        assert request.response is not None
        if request.response == self.fails:
            return Reply(tokens=(), error=self.error)
        return Reply(tokens=(f"[{request.response}]",))


def rewards(**settings: object) -> FakeBackend:
    return FakeBackend(script=Rewards(of=Closeness()))


def job(
    folder: Path | None, model: FakeBackend, n: int = 8, backend: FakeBackend | None = None
) -> Job:
    strategy = BestOfN(n=n, select=RewardModel(model), extract=LastNumber())
    return Job(
        work=Work(
            run="r", seed=3, strategy=strategy, directory=None if folder is None else str(folder)
        ),
        backend=backend or FakeBackend(script=SAYS),
        queries=QUERIES,
    )


def carry_out(todo: Job, folder: Path | None) -> list[Record]:
    if folder is None:
        return asyncio.run(run_here(todo, lambda progress: None))
    with open_run(folder, fingerprint={"a": 1}, config={}, queries=QUERIES):
        return asyncio.run(run_here(todo, lambda progress: None))


def test_the_best_rated_response_is_the_answer() -> None:
    records = carry_out(job(None, rewards(), n=16), None)
    assert [record.answer for record in records] == ["41"] * 6
    assert {record.outcome for record in records} == {Outcome.ANSWERED}


def test_what_was_rated_is_on_the_bill() -> None:
    (record, *_) = carry_out(job(None, rewards(), n=16), None)
    # Three different responses, each read with its question: 2 words and 1.
    assert record.usage.scorer_tokens == 9
    assert record.usage.samples == 16 + 3
    assert record.usage.generated_tokens == 16  # a reward model generates nothing


def test_a_response_is_rated_once_and_never_again(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    script = Journal(then=Rewards(of=Closeness()), path=str(journal))
    first = carry_out(job(tmp_path / "run", FakeBackend(script=script)), tmp_path / "run")
    requests = journal.read_text().splitlines()
    assert len(requests) == len(set(requests)) > 0
    again = carry_out(job(tmp_path / "run", FakeBackend(script=script)), tmp_path / "run")
    assert journal.read_text().splitlines() == requests
    assert [r.answer for r in again] == [r.answer for r in first]


def test_samples_that_are_there_want_no_model_that_samples(tmp_path: Path) -> None:
    carry_out(job(tmp_path, rewards()), tmp_path)
    other = FakeBackend(script=Rewards(of=Highest()))
    records = carry_out(replace(job(tmp_path, other), backend=None), tmp_path)
    assert [record.answer for record in records] == ["42"] * 6


@dataclass(frozen=True, slots=True)
class Highest:
    """Rates a response by the number that it holds."""

    def __call__(self, response: str) -> Sequence[float]:
        return (float(response),)


def test_what_a_model_says_is_stored_by_model_and_response(tmp_path: Path) -> None:
    model = rewards()
    carry_out(job(tmp_path, model), tmp_path)
    stored = dict(RunReader(tmp_path).samples())
    key = rating_key("q0", model_key(model.identity), "42")
    (sample,) = stored[key]
    assert sample.text == "[-1.0]"
    assert sample.engine == "reward0"
    assert not sample.generated_tokens


def test_where_a_rating_fails_the_others_decide(tmp_path: Path) -> None:
    model = FakeBackend(script=NotAll(fails="42"))
    records = carry_out(job(tmp_path, model, n=16), tmp_path)
    assert [record.answer for record in records] == ["41"] * 6


def test_where_no_rating_succeeds_the_query_is_an_error() -> None:
    backend = FakeBackend(script=SeededAnswers(answers=("7",), weights=(1,)))
    model = FakeBackend(script=NotAll(fails="7"))
    records = carry_out(job(None, model, backend=backend), None)
    assert {record.outcome for record in records} == {Outcome.ERROR}
    assert {record.error for record in records} == {"too long"}


def test_a_reward_model_that_cannot_be_used_ends_the_run() -> None:
    model = FakeBackend(script=lambda request: Reply(tokens=(), error=EngineDead("no memory")))
    with pytest.raises(EngineDead, match="no memory"):
        carry_out(job(None, model), None)


def test_the_display_hears_of_all_engines() -> None:
    seen: list[Progress] = []
    asyncio.run(run_here(job(None, rewards()), seen.append))
    assert [engine.name for engine in seen[-1].engines] == ["engine0", "reward0"]


def test_the_same_model_twice_is_one_model() -> None:
    model = rewards()
    one = RewardModel(model)
    both = BestOfN(n=1, select=WeightedVote(by=RewardModel(model, scale="sigmoid")))
    assert models_of(one) == models_of(both) == {model_key(model.identity): model}
    assert models_of((one, RewardModel(FakeBackend(script=Rewards(of=Highest()))))).keys() > {
        model_key(model.identity)
    }
    assert not models_of(BestOfN(n=1, select=WeightedVote(by=MeanOf())))


@dataclass(frozen=True, slots=True)
class MeanOf:
    """A scorer without a model."""

    needs_logprobs = None

    async def __call__(self, query: object, candidates: object) -> object:
        raise NotImplementedError


@pytest.mark.ray
def test_on_ray_reward_models_are_engines_of_their_own(tmp_path: Path) -> None:
    from nbest.orchestrator.cluster.driver import run_on_ray
    from nbest.orchestrator.cluster.settings import Cluster

    here = carry_out(job(None, rewards()), None)
    seen: list[Progress] = []
    cluster = Cluster(engines=2, workers=2, reward_engines=2)
    with open_run(tmp_path, fingerprint={"a": 1}, config={}, queries=QUERIES):
        there = asyncio.run(run_on_ray(job(tmp_path, rewards()), cluster, seen.append))
        names = [engine.name for engine in seen[-1].engines]
        assert names == ["engine0", "engine1", "reward0", "reward1"]
        answers = {record.query_id: record.answer for record in there}
        assert answers == {record.query_id: record.answer for record in here}
        # Again with another reward model and no engine for samples: they are there.
        other = FakeBackend(script=Rewards(of=Highest()))
        seen.clear()
        late = replace(job(tmp_path, other), backend=None)
        again = asyncio.run(run_on_ray(late, cluster, seen.append))
    assert [engine.name for engine in seen[-1].engines] == ["reward0", "reward1"]
    assert {record.answer for record in again} == {"42"}
    counts = Counter(record.query_id for record in RunReader(tmp_path).records())
    assert set(counts.values()) == {2}
    assert all(not math.isnan(record.confidence) for record in there)
