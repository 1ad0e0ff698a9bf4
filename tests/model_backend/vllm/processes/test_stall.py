"""When an engine counts as hung, on a clock that only moves when it is told to. Promise 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.model_backend.fake.clocks import ManualClock
from nbest.model_backend.vllm.processes.stall import FIRST_S, LATE_S, LATE_SHARE, Stall, StepLogger

STALL_S = 5.0


def watch_once(stall: Stall, clock: ManualClock, is_busy: bool = True) -> bool:
    """Do as the watchdog does: wait as long as `wait_s` says, and look."""
    clock.advance(stall.wait_s(clock.now()))
    return stall.has_stalled(clock.now(), is_busy=is_busy)


def running_engine() -> tuple[ManualClock, Stall]:
    """Return the clock and the state of an engine that has made its first step."""
    clock = ManualClock()
    stall = Stall(STALL_S, clock.now())
    stall.progress(clock.now())
    return clock, stall


def test_no_progress_for_the_stall_time_is_a_hang_and_not_a_moment_less() -> None:
    clock, stall = running_engine()
    assert not stall.has_stalled(clock.now() + STALL_S - 0.01, is_busy=True)
    assert stall.has_stalled(clock.now() + STALL_S, is_busy=True)


def test_an_engine_without_work_never_hangs() -> None:
    clock, stall = running_engine()
    assert not any(watch_once(stall, clock, is_busy=False) for _ in range(100))
    assert clock.now() == 100 * STALL_S  # it is not looked at more often than that


def test_work_that_comes_to_an_idle_engine_has_the_whole_stall_time() -> None:
    clock, stall = running_engine()
    watch_once(stall, clock, is_busy=False)
    clock.advance(4.0)
    stall.begin(clock.now())
    began_s = clock.now()
    assert not watch_once(stall, clock)
    assert watch_once(stall, clock)
    assert clock.now() - began_s == pytest.approx(STALL_S)


@given(st.lists(st.floats(0.001, STALL_S - 0.001), max_size=20))
def test_the_hang_is_seen_one_stall_time_after_the_last_progress(pauses: list[float]) -> None:
    """It holds whenever progress came, with a look only when one is due."""
    clock, stall = running_engine()
    due_s = clock.now() + stall.wait_s(clock.now())
    for pause in pauses:
        step_s = clock.now() + pause
        while due_s <= step_s:
            clock.advance(due_s - clock.now())
            assert not stall.has_stalled(clock.now(), is_busy=True)
            due_s = clock.now() + stall.wait_s(clock.now())
        clock.advance(step_s - clock.now())
        stall.progress(clock.now())
    last_s = clock.now()
    while not watch_once(stall, clock):
        assert clock.now() < last_s + STALL_S
    assert clock.now() == pytest.approx(last_s + STALL_S)


def test_a_watchdog_that_was_stopped_itself_gives_the_engine_another_chance() -> None:
    """Both are stopped by Ctrl-Z, and both go on."""
    clock, stall = running_engine()
    clock.advance(STALL_S + LATE_S + LATE_SHARE * STALL_S + 0.1)
    assert not stall.has_stalled(clock.now(), is_busy=True)
    assert watch_once(stall, clock)


def test_a_watchdog_that_is_a_little_late_still_sees_the_hang() -> None:
    clock, stall = running_engine()
    clock.advance(STALL_S + LATE_S / 2)
    assert stall.has_stalled(clock.now(), is_busy=True)


def test_the_first_step_of_an_engine_may_take_longer() -> None:
    clock, stall = ManualClock(), Stall(STALL_S, 0.0)
    while not watch_once(stall, clock):
        assert stall.silence_s == FIRST_S
    assert clock.now() == FIRST_S


@given(st.floats(0.1, FIRST_S - 0.1))
def test_after_the_first_step_a_hang_is_seen_as_soon_as_any(first_s: float) -> None:
    """It holds although the next look was planned before that step."""
    clock, stall = ManualClock(), Stall(STALL_S, 0.0)
    while clock.now() + stall.wait_s(clock.now()) <= first_s:
        assert not watch_once(stall, clock)
    clock.advance(first_s - clock.now())
    stall.progress(clock.now())
    while not watch_once(stall, clock):
        assert clock.now() < first_s + STALL_S
    assert clock.now() == pytest.approx(first_s + STALL_S)
    assert stall.silence_s == STALL_S


def test_a_longer_stall_time_holds_for_the_first_step_too() -> None:
    assert Stall(10 * FIRST_S, 0.0).silence_s == 10 * FIRST_S


# Progress as vLLM's own statistics of each step show it.


def step(running: int = 1, waiting: int = 0, usage: float = 0.1) -> Any:
    stats = pytest.importorskip("vllm.v1.metrics.stats")
    return stats.SchedulerStats(
        num_running_reqs=running, num_waiting_reqs=waiting, kv_cache_usage=usage
    )


def logger() -> tuple[list[None], Callable[[Any, Any], None]]:
    progress: list[None] = []
    return progress, StepLogger(lambda: progress.append(None)).record


def tokens() -> Any:
    return cast("Any", object())  # any statistics of an iteration: there were outputs


def test_outputs_are_progress_though_the_batch_is_the_same() -> None:
    progress, record = logger()
    for _ in range(3):
        record(step(), tokens())
    assert len(progress) == 3


def test_a_prefill_in_chunks_is_progress_though_it_gives_no_token() -> None:
    progress, record = logger()
    for i in range(1, 4):
        record(step(usage=0.1 * i), None)
    assert len(progress) == 3


@pytest.mark.parametrize("change", [{"running": 2}, {"waiting": 2}, {"usage": 0.2}])
def test_a_batch_that_changes_is_progress(change: dict[str, Any]) -> None:
    progress, record = logger()
    record(step(), None)
    record(step(**change), None)
    assert len(progress) == 2


def test_a_scheduler_that_turns_idle_rounds_makes_no_progress() -> None:
    """It does so when all its requests wait for something that never comes."""
    progress, record = logger()
    for _ in range(100):
        record(step(running=0, waiting=1), None)
    assert len(progress) == 1
    record(None, None)
    assert len(progress) == 1


def test_it_is_a_stat_logger_of_vllm() -> None:
    """It has every method of vLLM's own class."""
    base = pytest.importorskip("vllm.v1.metrics.loggers").StatLoggerBase
    methods = {name for name in vars(base) if not name.startswith("_")}
    assert methods <= set(dir(StepLogger))
