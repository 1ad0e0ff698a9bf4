"""Child processes that call functions on what a model wrote, and are killed when that takes long.

They are no children of `multiprocessing`, which would run the main script of the user once more.
Arguments and results travel as JSON, so nothing that comes back can act.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, ParamSpec, TypeVar

from nbest.orchestrator.errors import InputError
from nbest.scorers.sandboxes.child import BEGUN
from nbest.scorers.sandboxes.threads import Threads, cores

P = ParamSpec("P")
T = TypeVar("T")

START_S = 120.0  # for the interpreter and what is imported in it, on a busy machine
PATIENCE = 5.0  # times as long by the clock as a call may use a processor
MEMORY_BYTES = 2 << 30
MAX_REPLY_BYTES = 64 << 20

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from nbest.scorers.sandboxes.child import serve; serve(int(sys.argv[2]))"
)


class Unfinished(Exception):
    """A call has no result: it took too long or too much memory, or the function raised."""


class Processes:
    """As many child processes as `count`, started when there is work; each makes one call a time.

    It is safe in threads. A child is killed with its call, and a new one takes its place.
    """

    def __init__(self, count: int, memory_bytes: int = MEMORY_BYTES) -> None:
        self._count = count
        self._threads = Threads(count)
        self._memory_bytes = memory_bytes
        self._free: deque[_Child] = deque()
        self.starts = 0  # of children

    async def call_each(
        self, timeout_s: float, function: Callable[..., T], calls: Sequence[Sequence[object]]
    ) -> list[T | Unfinished]:
        """Call a function of a module with each of these arguments, in children.

        Arguments and results are values of JSON: a tuple arrives as a list. Each call has
        `timeout_s` seconds of a processor, so that no verdict depends on how busy the machine is,
        and five times as long by the clock; they count from when the child has imported what the
        module needs. Where it does not end, or raises, the failure stands in its place. InputError
        is raised.
        """
        parts = [calls[i :: self._count] for i in range(min(self._count, len(calls)))]
        tasks = [
            asyncio.create_task(self._threads.call(self.call_each_now, timeout_s, function, part))
            for part in parts
        ]
        outcomes: list[T | Unfinished] = [Unfinished()] * len(calls)
        try:
            for i, task in enumerate(tasks):
                outcomes[i :: self._count] = await task
        finally:
            for task in tasks:
                task.cancel()
        return outcomes

    def call_each_now(
        self, timeout_s: float, function: Callable[..., T], calls: Sequence[Sequence[object]]
    ) -> list[T | Unfinished]:
        """Do the same without an event loop, one call after the other; it blocks."""
        name = f"{function.__module__}:{function.__qualname__}"
        outcomes: list[T | Unfinished] = []
        while len(outcomes) < len(calls):
            child = self._child()
            child.ask(name, timeout_s, calls[len(outcomes) :])
            is_alive = child.begins()
            if not is_alive and child.is_new:
                raise RuntimeError("a process that reads answers cannot be started")
            while is_alive and len(outcomes) < len(calls):
                reply = child.reply(PATIENCE * timeout_s)
                is_alive = reply is not None
                outcomes.append(_value(reply, timeout_s))
            child.is_new = False
            if is_alive:
                self._free.append(child)
            else:
                child.end()
        return outcomes

    def call_now(
        self, timeout_s: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Make one call without an event loop; Unfinished where it does not end, or raises."""
        assert not kwargs, "arguments are passed by position"
        (outcome,) = self.call_each_now(timeout_s, function, [args])
        if isinstance(outcome, Unfinished):
            raise outcome
        return outcome

    def _child(self) -> _Child:
        try:
            return self._free.pop()
        except IndexError:
            self.starts += 1
            return _Child(self._memory_bytes)


def _value(reply: dict[str, Any] | None, timeout_s: float) -> Any:
    """The value that a reply holds, or why there is none; InputError where that is the reply."""
    if reply is None:
        return Unfinished(f"it did not end within {timeout_s:g} s, or its process did")
    if "wrong_input" in reply:
        raise InputError(reply["wrong_input"])
    return Unfinished(reply["failure"]) if "failure" in reply else reply["value"]


class _Child:
    """One child process. It ends with this object at the latest."""

    def __init__(self, memory_bytes: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-B", "-c", _PROGRAM, json.dumps(sys.path), str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # One thread each: there are as many children as cores.
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        self._unread = bytearray()
        self.is_new = True  # one that has been used may have ended since, with its thread
        self.end = weakref.finalize(self, _end, self._process)

    def ask(self, name: str, timeout_s: float, calls: Sequence[Sequence[object]]) -> None:
        """Ask for calls of the function `module:name`; `reply` says how each of them ended."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended: there will be no reply
            self._process.stdin.write(json.dumps([name, timeout_s, calls]).encode() + b"\n")
            self._process.stdin.flush()

    def begins(self) -> bool:
        """Whether the child begins with the calls, when it has imported what they need."""
        return self._line(START_S) == BEGUN

    def reply(self, timeout_s: float) -> dict[str, Any] | None:
        """What the child says of the next call; None where it is not in time, or has ended."""
        line = self._line(timeout_s)
        return None if line is None else json.loads(line)

    def _line(self, timeout_s: float) -> bytes | None:
        """The next line that it writes; None when the time is over, or it has ended."""
        assert self._process.stdout is not None
        ends_s, looked_at = time.monotonic() + timeout_s, 0
        while (end := self._unread.find(b"\n", looked_at)) < 0:
            looked_at = len(self._unread)
            data = read_in_time(self._process.stdout.fileno(), ends_s)
            if not data or looked_at > MAX_REPLY_BYTES:
                return None
            self._unread += data
        line = bytes(self._unread[: end + 1])
        del self._unread[: end + 1]
        return line


def read_in_time(descriptor: int, ends_s: float, size: int = 1 << 16) -> bytes:
    """Read what has come through a pipe; empty at its end, or when it is `ends_s` (monotonic)."""
    # Not `select.select`, which takes no descriptor above 1023.
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    left_s = ends_s - time.monotonic()
    return os.read(descriptor, size) if left_s > 0 and poll.poll(left_s * 1000) else b""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and wait until it is gone."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # what it has not read any more
                pipe.close()


@cache
def reading_processes() -> Processes:
    """The processes, one set for all scorers, in which texts of models are read."""
    return Processes(cores())


async def read_texts(
    timeout_s: float, function: Callable[..., T], texts: Iterable[str], *settings: object
) -> dict[str, T | None]:
    """Call `function(text, *settings)` in children, once for each distinct text.

    None stands for the texts at which it did not end in time, or raised.
    """
    distinct = sorted(set(texts))
    calls = [(text, *settings) for text in distinct]
    outcomes = await reading_processes().call_each(timeout_s, function, calls)
    pairs = zip(distinct, outcomes, strict=True)
    return {text: None if isinstance(found, Unfinished) else found for text, found in pairs}


FEW_CHARACTERS = 20_000
SOON_S = 10.0  # for one text


def are_short(texts: Iterable[str]) -> bool:
    """Whether what takes time in proportion reads these texts, each once, in a few milliseconds."""
    return sum(map(len, set(texts))) <= FEW_CHARACTERS


async def read_soon(
    function: Callable[..., T], texts: Sequence[str], *settings: object
) -> dict[str, T | None]:
    """Do as `read_texts` does with a function whose time is in proportion to the text.

    A few short texts are read here: that takes less than the way to a child and back.
    """
    if are_short(texts):
        return {text: function(text, *settings) for text in set(texts)}
    return await read_texts(SOON_S, function, texts, *settings)
