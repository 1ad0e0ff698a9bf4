"""Child processes that read texts: what they return, and what they cost when they do not."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from nbest.orchestrator.errors import InputError
from nbest.scorers.sandboxes import threads as threads_module
from nbest.scorers.sandboxes.processes import Processes, Unfinished, read_soon, read_texts
from nbest.scorers.sandboxes.threads import Threads
from nbest.scorers.structured.json_schema import is_json

# Functions of this file stand in a module that children can import: this one, by its path.
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children get the path of their parent; this file is `test_processes` on it."""
    monkeypatch.syspath_prepend(str(HERE))
    own = (says, fails, refuses, sleeps, ends, eats, writes, waits_and_works, prints, parent)
    for function in own:
        monkeypatch.setattr(function, "__module__", "test_processes")


def says(text: str, *more: object) -> object:
    return [text, *more]


def fails(text: str) -> object:
    raise KeyError(text)


def refuses(text: str) -> object:
    raise InputError(f"text must be another, got {text!r}")


def sleeps(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def ends(text: str) -> str:
    if text == "die":
        os._exit(3)
    return text


def eats(megabytes: int) -> int:
    return len(bytearray(megabytes << 20))


def writes(path: str) -> bool:
    Path(path).write_text("x")
    return True


def waits_and_works(wait_s: float, work_s: float) -> str:
    time.sleep(wait_s)
    ends_s = time.process_time() + work_s
    while time.process_time() < ends_s:
        pass
    return "done"


def prints(text: str) -> str:
    print(text * 100_000, flush=True)
    sys.stderr.write(text * 100_000)
    return text


def parent(_: str) -> int:
    return os.getpid()


async def test_each_call_has_its_value_or_its_failure_in_its_place() -> None:
    processes = Processes(2)
    texts = ["a", "\0", "\ud800", "\u202e", "x" * 100_000, "", "\n"]
    assert await processes.call_each(5.0, says, [(text, 1, None) for text in texts]) == [
        [text, 1, None] for text in texts
    ]
    outcomes = await processes.call_each(5.0, fails, [("a",), ("b",)])
    assert [str(outcome) for outcome in outcomes] == ["KeyError: 'a'", "KeyError: 'b'"]
    assert await processes.call_each(5.0, says, []) == []
    assert processes.starts <= 2


def test_wrong_input_is_wrong_input_here_too() -> None:
    with pytest.raises(InputError, match="text must be another, got 'x'"):
        Processes(1).call_now(5.0, refuses, "x")


async def test_what_does_not_end_is_killed_and_costs_its_own_result_alone() -> None:
    processes = Processes(1)
    calls = [(0.0,), (600.0,), (0.0,), (600.0,), (0.0,)]
    outcomes = await processes.call_each(0.3, sleeps, calls)
    assert [isinstance(outcome, Unfinished) for outcome in outcomes] == [0, 1, 0, 1, 0]
    assert processes.starts == 3


def test_a_call_has_its_time_of_a_processor_however_long_it_waits() -> None:
    outcomes = Processes(1).call_each_now(0.3, waits_and_works, [(0.6, 0.0), (0.0, 60.0)])
    assert outcomes[0] == "done"
    assert isinstance(outcomes[1], Unfinished)


def test_what_ends_its_process_costs_its_own_result_alone() -> None:
    outcomes = Processes(1).call_each_now(5.0, ends, [("a",), ("die",), ("b",)])
    assert [outcomes[0], outcomes[2]] == ["a", "b"]
    assert isinstance(outcomes[1], Unfinished)


def test_memory_is_limited() -> None:
    processes = Processes(1, memory_bytes=600 << 20)
    assert processes.call_now(20.0, eats, 10) == 10 << 20
    with pytest.raises(Unfinished, match="MemoryError"):
        processes.call_now(20.0, eats, 2000)


def test_no_file_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(Unfinished, match="File too large"):
        Processes(1).call_now(5.0, writes, str(tmp_path / "x"))
    assert all(path.stat().st_size == 0 for path in tmp_path.iterdir())


def test_what_is_printed_is_lost_and_stops_nobody() -> None:
    assert Processes(1).call_now(5.0, prints, "x") == "x"


def test_a_child_that_has_died_meanwhile_is_replaced() -> None:
    processes = Processes(1)
    pid = processes.call_now(5.0, parent, "")
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert processes.call_now(5.0, parent, "") != pid
    assert processes.starts == 2


def test_a_child_ends_with_the_thread_that_needed_it() -> None:
    """And so with its process, however that ends."""
    processes = Processes(1)
    pids: list[int] = []
    thread = threading.Thread(target=lambda: pids.append(processes.call_now(5.0, parent, "")))
    thread.start()
    thread.join()
    os.waitid(os.P_PID, pids[0], os.WEXITED | os.WNOWAIT)  # until it is gone
    assert processes.call_now(5.0, parent, "") != pids[0]


async def test_texts_are_read_once_each() -> None:
    assert await read_texts(5.0, is_json, ["1", "{", "1"]) == {"1": True, "{": False}
    assert await read_soon(is_json, ["1", "{", "1"]) == {"1": True, "{": False}
    long = "[" + "1, " * 10_000 + "1]"
    assert await read_soon(is_json, [long, long + "}"]) == {long: True, long + "}": False}


async def test_threads_work_at_the_same_time_up_to_their_number() -> None:
    threads, gate = Threads(2), threading.Barrier(2)
    await asyncio.gather(threads.call(gate.wait, 5.0), threads.call(gate.wait, 5.0))
    order: list[int] = []
    many = [threads.call(order.append, number) for number in range(50)]
    await asyncio.gather(*many)
    assert sorted(order) == list(range(50))


async def test_what_a_function_raises_is_raised_where_it_is_awaited() -> None:
    with pytest.raises(KeyError, match="x"):
        await Threads(1).call({}.__getitem__, "x")


async def test_a_call_that_is_cancelled_before_it_begins_is_never_made() -> None:
    threads, gate, made = Threads(1), threading.Event(), []
    first = asyncio.create_task(threads.call(gate.wait))
    second = asyncio.create_task(threads.call(made.append, 1))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    gate.set()
    await first
    await threads.call(made.append, 2)
    assert made == [2]


async def test_idle_threads_end_and_others_take_their_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads_module, "IDLE_S", 0.0)
    threads = Threads(1)
    for number in range(20):
        assert await threads.call(lambda value: value, number) == number
