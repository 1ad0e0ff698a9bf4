"""DeepConf: what the model is unsure of is ended early, has no vote, and costs little."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from nbest import Confidence, FakeBackend, LastNumber, Reply, WeightedVote
from nbest.model_backend.fake.clocks import VirtualTime
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.run.job import Work
from nbest.orchestrator.run.local import open_loop
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.deep_conf import DeepConf, lowest_allowed
from nbest.orchestrator.types import Query, Request, Selection, Status, Usage

QUERY = Query(id="q", prompt="?")
LENGTH = 100  # tokens

SURE, UNSURE = -6.0, -1.0  # log-probabilities of the second likeliest token: confidence 3 and 0.5


@dataclass(frozen=True)
class Traces:
    """Sample i says `answers[i]`; it is unsure from the middle on where the answer is wrong."""

    answers: tuple[str, ...]
    wrong: str = "9"

    def __call__(self, request: Request) -> Reply:
        index = int(request.id.rpartition("/s")[2])
        answer = self.answers[index]
        shaky = 0.01 * (index % 7)  # no two alike
        top = [{"a": 0.0, "b": SURE + shaky}] * (LENGTH // 2)
        last = UNSURE if answer == self.wrong else SURE
        top += [{"a": 0.0, "b": last + shaky}] * (LENGTH // 2)
        return Reply(tokens=("",) * (LENGTH - 1) + (answer,), top=tuple(top), token_s=0.01)


def deep_conf(**changes: object) -> DeepConf:
    settings: dict[str, object] = {
        "max_n": 32,
        "by": Confidence(measure="lowest", window=10, k=2),
        "select": WeightedVote(by=Confidence(measure="mean", k=2)),
        "warm_up": 8,
        "keep": 0.5,
        "share": 0.99,
        "extract": LastNumber(),
        "params": SamplingParams(max_tokens=1000),
    }
    return DeepConf(**(settings | changes))  # type: ignore[arg-type]


def live(strategy: DeepConf, script: Callable[[Request], Reply]) -> tuple[Selection, Usage]:
    async def run() -> tuple[Selection, Usage]:
        work = Work(run="r", seed=1, strategy=strategy, directory=None)
        async with open_loop(work, FakeBackend(script=script)) as here:
            answered = await here.loop.answer(QUERY)
        assert answered.selection is not None, answered.record.error
        return answered.selection, answered.record.usage

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(run())


MIXED = ("9", "7") * 16


def test_it_stops_when_the_confident_agree() -> None:
    """Half of the warm-up is wrong, and unsure; all samples above the level say 7."""
    chosen, usage = live(deep_conf(), Traces(MIXED))
    assert chosen.answer == "7"
    assert usage.samples == 8
    votes = [s for s, score in zip(chosen.samples, chosen.scores, strict=True) if score == score]
    assert all(sample.text == "7" for sample in votes)


def test_a_trace_that_falls_is_ended_there() -> None:
    """Two sure answers never agree, so all are drawn; the unsure ones cost half and a window."""
    answers = ("7", "9", "8", "9") * 8
    chosen, usage = live(deep_conf(), Traces(answers))
    assert usage.samples == 32
    later = chosen.samples[8:]
    fallen = [sample for sample in later if sample.status is Status.TRUNCATED]
    assert [int(s.id.rpartition("/s")[2]) % 4 for s in fallen] == [1, 3] * 6
    assert {sample.generated_tokens for sample in fallen} <= set(range(51, 61))
    whole = [sample for sample in later if sample.status is Status.OK]
    # The level is a quantile of those that were sure: the least sure of them fall as well.
    assert len(whole) + len(fallen) == 24
    assert all(sample.generated_tokens == LENGTH for sample in whole)


def test_what_fell_has_no_vote_and_the_bill_is_that_of_the_tokens() -> None:
    answers = ("7", "9", "8", "9") * 8
    chosen, usage = live(deep_conf(), Traces(answers))
    assert chosen.answer in ("7", "8")
    assert usage.generated_tokens == sum(s.generated_tokens for s in chosen.samples)
    assert usage.generated_tokens < 32 * LENGTH * 0.85


def test_few_voters_that_agree_are_an_abstention_where_that_is_wanted() -> None:
    answers = ("7", "9", "8", "9") * 8
    chosen, _ = live(deep_conf(), Traces(answers))
    assert chosen.confidence < 0.7
    assert live(deep_conf(min_confidence=0.7), Traces(answers))[0].answer is None


def test_without_log_probabilities_nothing_is_ended() -> None:
    """Where no confidence is known there is no level, and every sample has its vote."""
    assert lowest_allowed(np.array([np.nan, np.nan]), 0.5) == -np.inf
    assert deep_conf().sampling().floor is None
    assert deep_conf().sampling(1.5).floor is not None


def test_the_level_is_what_so_many_of_the_warm_up_reach() -> None:
    lowest = np.arange(1.0, 12.0)
    assert lowest_allowed(lowest, 0.9) == pytest.approx(2.0)
    assert lowest_allowed(lowest, 0.1) == pytest.approx(10.0)


def test_it_asks_for_as_many_log_probabilities_as_both_scorers_read() -> None:
    strategy = deep_conf(select=WeightedVote(by=Confidence(measure="mean", k=7)))
    params = strategy.sampling(1.0)
    assert params.logprobs == 7
    assert params.floor is not None
    assert (params.floor.window, params.floor.k) == (10, 2)
    assert replace(params, floor=None) == strategy.sampling()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"warm_up": 33}, "warm_up must lie in 1..32"),
        ({"min_confidence": 2}, r"min_confidence must lie in \[0, 1\], got 2"),
        ({"keep": 1.0}, r"keep must lie in \(0, 1\), got 1.0"),
        ({"share": 0.5}, r"share must lie in \(0.5, 1\], got 0.5"),
        ({"ahead": 0}, "ahead must be at least 1, got 0"),
    ],
)
def test_settings_are_checked(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        deep_conf(**changes)
