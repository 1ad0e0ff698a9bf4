"""Adaptive sampling and races: what is drawn, what is aborted, whatever the pace of the engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from nbest import FakeBackend, LastNumber, MajorityVote, Reply, SeededAnswers
from nbest.model_backend.fake.clocks import VirtualTime
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Strategy
from nbest.orchestrator.run.job import Work
from nbest.orchestrator.run.local import open_loop, run
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.adaptive import Adaptive
from nbest.orchestrator.strategies.race import RaceToValid
from nbest.orchestrator.strategies.stop_on_votes import BetaStop, UnanimousWindow
from nbest.orchestrator.types import Query, Request, Selection, Status, Usage
from nbest.scorers.validators.rules import Matches

QUERY = Query(id="q", prompt="?")
LONG = SamplingParams(max_tokens=1000)


@dataclass(frozen=True)
class Paced:
    """Sample i says `answers[i]` after `seconds[i]`, a token a hundredth of a second."""

    answers: Sequence[str]
    seconds: Sequence[float]

    def __call__(self, request: Request) -> Reply:
        index = int(request.id.rpartition("/s")[2])
        count = max(1, round(self.seconds[index] * 100))
        return Reply(tokens=("",) * (count - 1) + (self.answers[index],), token_s=0.01)


@dataclass(frozen=True)
class Outcome:
    selection: Selection
    usage: Usage
    elapsed_s: float


def live(strategy: Strategy, script: Callable[[Request], Reply]) -> Outcome:
    """Run the strategy on a fake engine, in virtual time."""

    async def run() -> Outcome:
        work = Work(run="r", seed=1, strategy=strategy, directory=None)
        async with open_loop(work, FakeBackend(script=script)) as here:
            began = asyncio.get_running_loop().time()
            answered = await here.loop.answer(QUERY)
            elapsed = asyncio.get_running_loop().time() - began
        assert answered.selection is not None, answered.record.error
        return Outcome(answered.selection, answered.record.usage, elapsed)

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(run())


def adaptive(**changes: object) -> Adaptive:
    settings = {
        "max_n": 16,
        "select": MajorityVote(),
        "rule": BetaStop(confidence=0.95),
        "extract": LastNumber(),
        "params": LONG,
    }
    return Adaptive(**(settings | changes))  # type: ignore[arg-type]


def counted(outcome: Outcome) -> list[str]:
    """The ids of the samples that the decision was made from."""
    chosen = outcome.selection
    return [s.id for s, score in zip(chosen.samples, chosen.scores, strict=True) if score == score]


def test_it_stops_when_four_agree() -> None:
    outcome = live(adaptive(ahead=1), Paced(["7"] * 16, [1.0] * 16))
    assert outcome.selection.answer == "7"
    assert counted(outcome) == [f"r/q/s{i}" for i in range(4)]
    assert outcome.usage.samples == 4


def test_what_is_under_way_is_aborted_in_the_engine_and_counted() -> None:
    seconds = [1.0] * 4 + [50.0] * 12
    outcome = live(adaptive(ahead=8), Paced(["7"] * 16, seconds))
    cancelled = [s for s in outcome.selection.samples if s.status is Status.CANCELLED]
    assert [s.id for s in cancelled] == [f"r/q/s{i}" for i in range(4, 11)]
    assert outcome.usage.cancelled_tokens > 0
    assert outcome.usage.generated_tokens < 4 * 100 + 7 * 110  # of 50 s each, one or so
    assert outcome.elapsed_s == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("ahead", [1, 3, 16])
def test_short_answers_that_come_first_decide_nothing(ahead: int) -> None:
    """Every long answer is 9, every short one 1: as they arrive, 1 is unanimous for long."""
    answers = ["9", "9", "1", "9", "1", "9", "9", "9"] * 2
    seconds = [5.0 if answer == "9" else 0.1 for answer in answers]
    outcome = live(adaptive(ahead=ahead), Paced(answers, seconds))
    steady = live(adaptive(ahead=1), Paced(answers, [1.0] * 16))
    assert outcome.selection.answer == "9"
    assert counted(outcome) == counted(steady)


def test_without_agreement_it_draws_all() -> None:
    outcome = live(adaptive(), Paced(["1", "2"] * 8, [1.0] * 16))
    assert outcome.usage.samples == 16
    assert len(counted(outcome)) == 16


def test_it_draws_as_many_as_it_is_told_to() -> None:
    outcome = live(adaptive(min_n=9, ahead=1), Paced(["7"] * 16, [1.0] * 16))
    assert outcome.usage.samples == 9
    outcome = live(adaptive(rule=UnanimousWindow(size=3), ahead=1), Paced(["7"] * 16, [1.0] * 16))
    assert outcome.usage.samples == 3


def test_few_that_agree_are_an_abstention_where_that_is_wanted() -> None:
    outcome = live(adaptive(min_confidence=0.9), Paced(["1", "2", "1"] * 5 + ["1"], [1.0] * 16))
    assert outcome.selection.answer is None


def test_settings_that_make_no_sense() -> None:
    for key in ("max_n", "min_n", "ahead"):
        with pytest.raises(InputError, match=f"{key} must be at least 1, got 0"):
            adaptive(**{key: 0})
    with pytest.raises(InputError, match=r"min_confidence must lie in \[0, 1\], got 2"):
        adaptive(min_confidence=2)
    with pytest.raises(InputError, match="n must be at least 1, got 0"):
        RaceToValid(n=0, rule=Matches(pattern="a"))
    with pytest.raises(InputError, match="ahead must be at least 1, got 0"):
        RaceToValid(n=1, rule=Matches(pattern="a"), ahead=0)


def race(seed: int) -> tuple[Outcome, list[float], list[bool]]:
    """32 samples, each valid with probability 0.2, of spread latencies."""
    rng = np.random.default_rng(seed)
    seconds = rng.uniform(1.0, 9.0, 32).round(2).tolist()
    valid = (rng.random(32) < 0.2).tolist()
    script = Paced(["ok" if is_valid else "no" for is_valid in valid], seconds)
    strategy = RaceToValid(n=32, rule=Matches(pattern="ok"), params=LONG)
    return live(strategy, script), seconds, valid


@pytest.mark.parametrize("seed", range(8))
def test_the_first_valid_sample_wins_at_once_and_the_losers_stop_costing(seed: int) -> None:
    outcome, seconds, valid = race(seed)
    first_s = min(s for s, is_valid in zip(seconds, valid, strict=True) if is_valid)
    assert outcome.selection.answer == "ok"
    assert outcome.selection.index == seconds.index(first_s)
    assert outcome.elapsed_s <= 1.05 * first_s
    would_cost = sum(100 * max(0.0, s - first_s) for s in seconds)  # tokens after that moment
    whole = sum(100 * s for s in seconds)
    saved = whole - outcome.usage.generated_tokens
    assert saved >= 0.95 * would_cost
    losers = [s for s in outcome.selection.samples if s.status is Status.CANCELLED]
    assert outcome.usage.cancelled_tokens == sum(s.generated_tokens for s in losers) > 0


def test_a_retry_until_valid_draws_one_at_a_time_and_nothing_in_vain() -> None:
    retry = RaceToValid(n=8, rule=Matches(pattern="ok"), ahead=1, params=LONG)
    outcome = live(retry, Paced(["no", "no", "ok", "ok"] * 2, [1.0, 2.0, 3.0, 4.0] * 2))
    assert (outcome.selection.index, outcome.selection.answer) == (2, "ok")
    assert outcome.selection.scores.tolist() == [0.0, 0.0, 1.0]
    assert (outcome.usage.samples, outcome.usage.cancelled_tokens) == (3, 0)
    assert outcome.elapsed_s == pytest.approx(6.0)


def test_what_a_retry_is_worth_and_what_it_costs_is_what_the_formulas_say() -> None:
    """Answered by 1 - (1 - v)^n; as many draws as the mean of a cut-off geometric law."""
    v, n, count = 0.3, 4, 2_000
    script = SeededAnswers(answers=("ok", "no"), weights=(3, 7))
    retry = RaceToValid(n=n, rule=Matches(pattern="ok"), ahead=1)
    queries = [Query(id=f"q{i}", prompt="?") for i in range(count)]
    records = run(queries, retry, FakeBackend(script=script), seed=5)
    answered = sum(record.answer == "ok" for record in records) / count
    draws = sum(record.usage.samples for record in records) / count
    expected = 1 - (1 - v) ** n
    assert abs(answered - expected) < 4 * (expected * (1 - expected) / count) ** 0.5
    chances = [v * (1 - v) ** k for k in range(n - 1)] + [(1 - v) ** (n - 1)]
    mean = sum((k + 1) * chance for k, chance in enumerate(chances))
    variance = sum((k + 1 - mean) ** 2 * chance for k, chance in enumerate(chances))
    assert mean == pytest.approx(expected / v)
    assert abs(draws - mean) < 4 * (variance / count) ** 0.5
    tokens = sum(record.usage.generated_tokens for record in records)
    assert tokens == sum(record.usage.samples for record in records)


def test_where_none_is_valid_there_is_no_answer() -> None:
    strategy = RaceToValid(n=3, rule=Matches(pattern="ok"), params=LONG)
    outcome = live(strategy, Paced(["no"] * 3, [1.0, 2.0, 3.0]))
    assert (outcome.selection.index, outcome.selection.answer) == (None, None)
    assert outcome.selection.scores.tolist() == [0.0, 0.0, 0.0]
    assert outcome.usage.samples == 3
