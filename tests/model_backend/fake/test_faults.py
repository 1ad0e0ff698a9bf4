"""Faults of the fake model, one by one; those that harm a process get one of their own."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import os
import pickle
import signal
from pathlib import Path

import pytest

from nbest.experiments.config.plugins import build_backend
from nbest.model_backend.fake.engine import FakeBackend, FakeEngine
from nbest.model_backend.fake.faults import (
    Fails,
    Hangs,
    Harm,
    HarmsProcess,
    Journal,
    OverloadedAtFirst,
    Rejects,
)
from nbest.model_backend.fake.script import Script, SeededAnswers
from nbest.orchestrator.errors import (
    BackendError,
    EngineDead,
    InputError,
    Overloaded,
    RequestRejected,
)
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Message, Request, Sample, Status

CALM = SeededAnswers(answers=("42", "41"), weights=(1, 1))


def request(prompt: str | tuple[Message, ...], index: int = 0) -> Request:
    return Request(id=f"t/q/s{index}", prompt=prompt, params=SamplingParams(), seed=index)


async def answer(script: Script, call: Request) -> Sample:
    async with FakeBackend(script=script).open() as engine:
        return await engine.generate(call)


FAULTS: dict[str, Script] = {
    "harms": HarmsProcess(then=CALM, marker="bad"),
    "hangs": Hangs(then=CALM, marker="bad"),
    "rejects": Rejects(then=CALM, marker="bad", reason="the prompt is too long"),
    "fails": Fails(then=CALM, marker="bad", reason="no luck"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_other_prompts_are_answered_as_without_the_fault(name: str) -> None:
    for index in range(4):
        call = request("a good question", index)
        assert (await answer(FAULTS[name], call)).text == (await answer(CALM, call)).text


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_survives_the_way_to_an_engine(name: str) -> None:
    assert pickle.loads(pickle.dumps(FAULTS[name])) == FAULTS[name]


@pytest.mark.parametrize(
    "prompt",
    [
        "a bad one",
        (Message(role="system", content="be brief"), Message(role="user", content="bad")),
    ],
)
async def test_the_marker_is_found_in_texts_and_in_chats(
    prompt: str | tuple[Message, ...],
) -> None:
    with pytest.raises(RequestRejected, match="the prompt is too long"):
        await answer(FAULTS["rejects"], request(prompt))


async def test_a_failure_is_no_refusal() -> None:
    with pytest.raises(BackendError, match="no luck") as caught:
        await answer(FAULTS["fails"], request("bad"))
    assert type(caught.value) is BackendError


async def test_a_hanging_request_ends_by_its_abort_alone() -> None:
    engine = FakeEngine(FakeBackend(script=FAULTS["hangs"]))
    hanging = asyncio.create_task(engine.generate(request("bad")))
    await engine.generate(request("good", 1))
    assert not hanging.done()
    await engine.abort("t/q/s0")
    sample = await hanging
    assert (sample.status, sample.text, sample.generated_tokens) == (Status.CANCELLED, "", 0)
    assert math.isfinite(sample.first_token_s)


async def test_an_engine_that_sees_itself_hang_is_dead() -> None:
    with pytest.raises(EngineDead, match=r"no token for 0\.01 s"):
        await answer(Hangs(then=CALM, marker="bad", stall_s=0.01), request("bad"))


async def test_overload_passes_after_so_many_attempts() -> None:
    script = OverloadedAtFirst(then=CALM, times=2)
    for call in (request("x", 0), request("x", 1)):  # each has its own count
        for _ in range(2):
            with pytest.raises(Overloaded):
                await answer(script, call)
        assert (await answer(script, call)).status is Status.OK


def test_overload_must_be_a_count() -> None:
    with pytest.raises(InputError, match="times must be at least 0, got -1"):
        OverloadedAtFirst(then=CALM, times=-1)


async def test_the_journal_has_a_line_a_request_and_is_no_setting(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    script = Journal(then=CALM, path=str(path))
    for index in (0, 1, 1):
        await answer(script, request("x", index))
    assert path.read_text().splitlines() == [f"{os.getpid()} t/q/s{i}" for i in (0, 1, 1)]
    assert repr(script) == repr(Journal(then=CALM, path="elsewhere"))


@pytest.mark.parametrize(
    ("harm", "exitcode"), [(Harm.SIGKILL, -signal.SIGKILL), (Harm.EXIT, 1), (Harm.SIGSTOP, None)]
)
def test_harm_is_done_to_the_process_that_answers(harm: Harm, exitcode: int | None) -> None:
    script = HarmsProcess(then=CALM, marker="bad", harm=harm)
    process = multiprocessing.get_context("spawn").Process(target=script, args=(request("bad"),))
    process.start()
    assert process.pid is not None
    if exitcode is None:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.kill()
        process.join()
    else:
        process.join()
        assert process.exitcode == exitcode


async def test_a_config_names_the_faults(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    settings = {"answers": ["7"], "weights": [1], "overloads": 1, "reject_on": "bad"}
    backend = build_backend("faulty_fake", {**settings, "journal": str(path)})
    async with backend.open("engine0") as engine:
        with pytest.raises(RequestRejected):
            await engine.generate(request("bad"))
        with pytest.raises(Overloaded):
            await engine.generate(request("good", 1))
        assert (await engine.generate(request("good", 1))).text == "7"
    assert len(path.read_text().splitlines()) == 3


def test_a_config_cannot_invent_harm() -> None:
    with pytest.raises(InputError, match="harm must be"):
        build_backend("faulty_fake", {"harm_on": "x", "harm": "sigterm"})
