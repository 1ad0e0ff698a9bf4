"""A model that stays: one start, many questions, from threads and event loops, and a clean end."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from nbest import (
    BestOfN,
    Candidates,
    FakeBackend,
    MajorityVote,
    OpenModel,
    Outcome,
    Query,
    Reply,
    Request,
    RewardModel,
    SamplingParams,
    Scores,
    SeededAnswers,
    ask,
    open_model,
)
from nbest.model_backend.fake.engine import FakeEngine
from nbest.model_backend.fake.rewards import fake_rewards
from nbest.orchestrator.errors import BackendError, EngineDead, InputError, RequestRejected

VOTE = BestOfN(n=9, select=MajorityVote())
SCRIPT = SeededAnswers(answers=("42", "41", "40"), weights=(2, 1, 1))


@dataclass
class Counted:
    """A backend that says how often it was opened, and what is alive."""

    backend: FakeBackend = field(default_factory=lambda: FakeBackend(script=SCRIPT))
    opened: int = 0
    live: list[FakeEngine] = field(default_factory=list)
    gpus: int = 0

    @property
    def max_concurrency(self) -> int:
        return self.backend.max_concurrency

    @property
    def identity(self) -> dict[str, str | int | None]:
        return self.backend.identity

    @asynccontextmanager
    async def open(self, name: str = "") -> AsyncIterator[FakeEngine]:
        self.opened += 1
        async with self.backend.open(name) as engine:
            self.live.append(engine)
            try:
                yield engine
            finally:
                self.live.remove(engine)


@dataclass(frozen=True)
class CountedRewards:
    """A reward model that says when it was opened."""

    opened: list[str] = field(default_factory=list)
    gpus: int = 0
    max_concurrency: int = 8

    @property
    def identity(self) -> dict[str, str | int | None]:
        return {"model": "rewards"}

    @asynccontextmanager
    async def open(self, name: str = "") -> AsyncIterator[FakeEngine]:
        self.opened.append(name)
        async with fake_rewards().open(name) as engine:
            yield engine


def endless(request: Request) -> Reply:
    return Reply(tokens=("x",) * 10, token_s=1e6)


def until(condition: Callable[[], object]) -> None:
    """Wait for something in the model's thread; the test's timeout ends it if it never comes."""
    while not condition():
        time.sleep(0.001)


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def model(counted: Counted) -> Iterator[OpenModel]:
    with open_model(counted) as live:
        yield live
    assert counted.live == []


def test_many_questions_start_one_engine_and_say_what_ask_says(
    model: OpenModel, counted: Counted
) -> None:
    for seed in range(5):
        selection = model.ask("What is 17 + 25?", VOTE, seed=seed)
        alone = ask("What is 17 + 25?", VOTE, counted.backend, seed=seed)
        assert (selection.answer, selection.index) == (alone.answer, alone.index)
        assert [s.text for s in selection.samples] == [s.text for s in alone.samples]
    assert counted.opened == 1


def test_many_questions_at_once_come_in_their_order(model: OpenModel) -> None:
    records = model.ask_many([f"What is {i}?" for i in range(50)], VOTE)
    assert [record.query_id for record in records] == [f"q{i}" for i in range(50)]
    assert all(record.selection is not None for record in records)
    assert len({record.selection.samples[0].text for record in records if record.selection}) > 1


def test_a_question_that_fails_is_a_record_with_a_reason_and_no_loss_of_others() -> None:
    def script(request: Request) -> Reply:
        is_bad = "bad" in str(request.prompt)
        return Reply(tokens=("42",), error=RequestRejected("too long") if is_bad else None)

    with open_model(FakeBackend(script=script)) as model:
        good, bad = model.ask_many(["good", "bad"], VOTE)
        assert good.outcome is Outcome.ANSWERED
        assert (bad.outcome, bad.selection, bad.error) == (Outcome.ERROR, None, "too long")
        with pytest.raises(BackendError, match="too long"):
            model.ask("bad", VOTE)
        assert model.ask("good", VOTE).answer == "42"


def test_threads_ask_at_once(model: OpenModel, counted: Counted) -> None:
    expected = [ask(f"{i}?", VOTE, counted.backend, seed=i).index for i in range(20)]
    with ThreadPoolExecutor(8) as threads:
        asked = threads.map(lambda i: model.ask(f"{i}?", VOTE, seed=i).index, range(20))
        assert list(asked) == expected


async def test_event_loops_ask_too_and_a_cell_of_a_notebook(model: OpenModel) -> None:
    selections = await asyncio.gather(*(model.aask(f"{i}?", VOTE) for i in range(20)))
    assert {selection.answer for selection in selections} <= {"42", "41", "40"}
    assert model.ask("in a cell", VOTE).answer is not None  # a loop is running in this thread


async def test_cancelling_a_question_ends_its_samples() -> None:
    counted = Counted(FakeBackend(script=endless))
    with open_model(counted) as model:
        asking = asyncio.ensure_future(model.aask("for ever?", VOTE))
        await asyncio.to_thread(until, lambda: counted.live[0].in_flight)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.to_thread(until, lambda: not counted.live[0].in_flight)


def test_closing_ends_what_is_under_way() -> None:
    counted = Counted(FakeBackend(script=endless))
    model = open_model(counted)
    failures: list[BaseException] = []

    def wait() -> None:
        with pytest.raises(BackendError, match="closed while it was asked") as caught:
            model.ask("for ever?", VOTE)
        failures.append(caught.value)

    asking = threading.Thread(target=wait)
    asking.start()
    until(lambda: counted.live[0].in_flight)
    model.close()
    asking.join()
    model.close()  # once more does nothing
    assert len(failures) == 1
    assert counted.live == []
    with pytest.raises(InputError, match="asked after its end"):
        model.ask("and now?", VOTE)


def test_an_engine_that_cannot_start_says_so_and_leaves_no_thread() -> None:
    @dataclass
    class Broken(Counted):
        @asynccontextmanager
        async def open(self, name: str = "") -> AsyncIterator[FakeEngine]:
            raise InputError("model must be there")
            yield

    before = threading.active_count()
    with pytest.raises(InputError, match="model must be there"):
        open_model(Broken())
    assert threading.active_count() == before


def test_a_reward_model_is_started_when_it_is_first_wanted(model: OpenModel) -> None:
    rewards = CountedRewards()
    chosen = BestOfN(n=4, select=RewardModel(model=rewards))
    assert rewards.opened == []
    first = model.ask("What is 17 + 25?", chosen)
    assert model.ask("What is 17 + 25?", chosen).index == first.index
    assert rewards.opened == ["reward0"]


def test_an_engine_that_has_died_for_good_is_started_again_for_the_next_question() -> None:
    @dataclass
    class AwayAtTimes(Counted):
        """It dies at the first question, and cannot be started again at once."""

        @asynccontextmanager
        async def open(self, name: str = "") -> AsyncIterator[FakeEngine]:
            self.opened += 1
            if self.opened == 2:
                raise BackendError("nothing answers")
            script = dies if self.opened == 1 else SCRIPT
            async with FakeBackend(script=script).open(name) as engine:
                yield engine

    def dies(request: Request) -> Reply:
        return Reply(tokens=(), error=EngineDead("the server has gone"))

    backend = AwayAtTimes()
    with open_model(backend) as model:
        with pytest.raises(EngineDead, match="cannot be started again: nothing answers"):
            model.ask("What?", VOTE)
        assert model.ask("What?", VOTE).answer is not None
    assert backend.opened == 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AsksItsOwnModel:
    """A scorer that asks the model which waits for it."""

    model: OpenModel
    closes: bool = False
    needs_logprobs: int | None = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        if self.closes:
            self.model.close()
        self.model.ask("and what do you say?", VOTE)
        return np.zeros(len(candidates.samples))


def test_a_part_of_a_question_that_asks_its_own_model_fails_and_does_not_hang(
    model: OpenModel,
) -> None:
    with pytest.raises(InputError, match="by a part of its own question"):
        model.ask("What?", BestOfN(n=2, select=AsksItsOwnModel(model=model)))
    with pytest.raises(InputError, match="closed by a part of a question"):
        model.ask("What?", BestOfN(n=2, select=AsksItsOwnModel(model=model, closes=True)))


ENDLESS = """
import signal, sys
from nbest import BestOfN, FakeBackend, MajorityVote, Reply, open_model
with open_model(FakeBackend(script=lambda request: Reply(tokens=("x",), token_s=1e6))) as model:
    print("asking", flush=True)
    model.ask("for ever?", BestOfN(n=4, select=MajorityVote()))
"""
FORGOTTEN = """
from nbest import BestOfN, FakeBackend, MajorityVote, Reply, open_model
model = open_model(FakeBackend(script=lambda request: Reply(tokens=("42",))))
print(model.ask("What?", BestOfN(n=4, select=MajorityVote())).answer)
"""


def test_ctrl_c_ends_a_question(tmp_path: Path) -> None:
    path = tmp_path / "endless.py"
    path.write_text(ENDLESS)
    with subprocess.Popen(
        [sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asking\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert errors.strip().splitlines()[-1] == "KeyboardInterrupt"


def test_a_model_that_is_never_closed_lets_the_program_end(tmp_path: Path) -> None:
    path = tmp_path / "forgotten.py"
    path.write_text(FORGOTTEN)
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=300, check=True
    )
    assert (done.stdout, done.stderr) == ("42\n", "")


def test_params_reach_the_engine(model: OpenModel) -> None:
    cut = BestOfN(n=2, select=MajorityVote(), params=SamplingParams(max_tokens=1, logprobs=0))
    assert model.ask("What?", cut).samples[0].logprobs is not None
