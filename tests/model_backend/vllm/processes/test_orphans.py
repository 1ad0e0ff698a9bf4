"""No engine outlives its holder: here with plain processes, in test_faults.py with vLLM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nbest.model_backend.vllm.processes.orphans import (
    descendants,
    kill_tree,
    orphan_guard,
    started_at,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

ROOT = Path(__file__).parents[4]
ENGINE = "import subprocess, sys; w = subprocess.Popen(['sleep', '600']); print(w.pid, flush=True); w.wait()"  # noqa: E501

# Starts an engine with a worker, has both guarded, says so, and waits to be killed.
HOLDER = f"""
import subprocess, sys, time
from nbest.model_backend.vllm.processes.orphans import orphan_guard

with orphan_guard() as guard:
    engine = subprocess.Popen(
        [sys.executable, "-c", {ENGINE!r}], stdout=subprocess.PIPE, text=True
    )
    worker = engine.stdout.readline()
    guard.watch(engine.pid)
    print(engine.pid, worker, flush=True)
    sys.stdin.read()
"""


@contextmanager
def running(program: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Run a process that prints pids first; whatever is left of them is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    try:
        yield process, pids
    finally:
        for pid in (process.pid, *pids):
            kill_tree(pid)
        process.communicate()


def is_alive(pid: int) -> bool:
    """Tell whether a process is alive; a zombie is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ignores(pid: int, number: signal.Signals) -> bool:
    """Tell whether a process ignores a signal, by `SigIgn` of `/proc/PID/status` (proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (mask,) = (int(line.split()[1], 16) for line in lines if line.startswith("SigIgn:"))
    return bool(mask >> (number - 1) & 1)


def wait_until_gone(*pids: int) -> None:
    """Wait until processes have ended; the test's timeout ends it if they never do."""
    while any(is_alive(pid) for pid in pids):
        os.sched_yield()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("is_stopped", [False, True], ids=["running", "stopped"])
def test_an_engine_and_its_workers_go_with_the_holder(is_stopped: bool) -> None:
    with running(HOLDER) as (holder, pids):
        assert len(pids) == 2
        assert all(map(is_alive, pids))
        if is_stopped:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
        holder.kill()
        wait_until_gone(*pids)


@pytest.mark.timeout(20)
def test_at_the_end_what_is_left_is_killed() -> None:
    """The workers of a core that was killed outlive it."""
    with running(ENGINE) as (engine, (worker,)):
        with orphan_guard() as guard:
            guard.watch(engine.pid)
            engine.kill()
            engine.wait()
            assert is_alive(worker)
        wait_until_gone(worker)


@pytest.mark.timeout(20)
def test_what_a_terminal_or_a_scheduler_sends_to_the_whole_job_ends_no_guard() -> None:
    with running(HOLDER) as (holder, pids):
        (guard,) = set(descendants(holder.pid)) - set(pids)
        while not ignores(guard, signal.SIGHUP):  # the last that it learns to ignore
            os.sched_yield()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(guard, number)
        holder.kill()
        wait_until_gone(*pids, guard)


@pytest.mark.timeout(20)
def test_a_guard_that_was_killed_does_no_harm() -> None:
    before = set(descendants(os.getpid()))
    with orphan_guard() as guard:
        (guard_pid,) = set(descendants(os.getpid())) - before
        os.kill(guard_pid, signal.SIGKILL)
        wait_until_gone(guard_pid)
        guard.watch(os.getpid())


def test_a_process_that_ends_in_time_leaves_nothing_to_kill() -> None:
    with orphan_guard() as guard:
        process = subprocess.Popen([sys.executable, "-c", ""])
        guard.watch(process.pid)
        process.wait()
    assert started_at(process.pid) == ""


def test_a_pid_that_was_given_to_another_process_is_told_apart() -> None:
    with running(ENGINE) as (engine, (worker,)):
        assert started_at(engine.pid) == started_at(engine.pid) != ""
        assert int(started_at(worker)) >= int(started_at(engine.pid))


def test_the_descendants_are_those_of_all_generations() -> None:
    with running(ENGINE) as (engine, (worker,)):
        assert descendants(engine.pid) == [worker]
        assert {engine.pid, worker} <= set(descendants(os.getpid()))
