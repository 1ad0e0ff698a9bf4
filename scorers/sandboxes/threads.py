"""Threads of their own for work that must not hold an event loop.

They are not the few threads of `asyncio.to_thread`, which everybody shares: nothing else waits
behind an answer that takes long. They are daemons, so a process can end while they work.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Future
from functools import cache
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

IDLE_S = 30.0  # a thread that has had nothing to do for so long ends


class Threads:
    """At most `count` threads, started when there is work, that call functions in turn."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._work: deque[Callable[[], None]] = deque()
        self._change = threading.Condition()  # of all that follows, and of the work
        self._started = 0
        self._waiting = 0

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread; where this is cancelled before it begins, it never does."""
        return await asyncio.wrap_future(self._submit(lambda: function(*args, **kwargs)))

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                # Whatever it is, it is raised where it is awaited.
                except BaseException as error:  # noqa: BLE001
                    future.set_exception(error)

        with self._change:
            self._work.append(run)
            if len(self._work) <= self._waiting:
                self._change.notify()
            elif self._started < self._count:
                self._started += 1
                threading.Thread(target=self._serve, name="nbest-scorers", daemon=True).start()
        return future

    def _serve(self) -> None:
        while (work := self._next()) is not None:
            work()
            del work  # what it holds may be large, and the next may be long in coming

    def _next(self) -> Callable[[], None] | None:
        """The next work; None where there has been none for a while."""
        with self._change:
            self._waiting += 1
            has_work = self._change.wait_for(lambda: bool(self._work), IDLE_S)
            self._waiting -= 1
            if has_work:
                return self._work.popleft()
            self._started -= 1
            return None


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def threads_for(purpose: str) -> Threads:
    """The threads for a purpose, as many as cores: `users`, whose functions may never return."""
    return Threads(cores())


async def in_turns(items: Iterable[T], at_once: int = 64) -> AsyncIterator[T]:
    """Yield the items, and give way to the event loop after every few of them."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % at_once == 0:
            await give_way()


async def give_way() -> None:
    """Let the event loop do what else is due."""
    await asyncio.sleep(0)
