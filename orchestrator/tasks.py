"""Tasks of asyncio: groups, and the way into an event loop and back with the result.

The first failure of a group is raised as it is, not wrapped in an exception group.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, TypeVar


def task_group() -> asyncio.TaskGroup:
    """A TaskGroup: when one task fails, the others are cancelled and awaited; nothing runs on.

    A bare `asyncio.gather` would leave the siblings of a failure running unseen.
    """
    return _Group()


class _Group(asyncio.TaskGroup):
    """A TaskGroup that raises its first failure bare.

    It is no generator around a TaskGroup, which would cost as much again: each query has a group.
    """

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await super().__aexit__(kind, error, traceback)
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None


class Background:
    """Tasks that nobody awaits; one that fails is told of, for unseen it would make a run hang."""

    def __init__(self, on_failure: Callable[[BaseException], None]) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_failure = on_failure

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def wait(self, timeout_s: float) -> None:
        """Wait until all have ended, but no longer than this."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    def cancel(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)


T = TypeVar("T")

BEGIN_S = 10.0  # within which a thread begins with its coroutine, on a busy machine
LOOK_S = 0.2  # how soon a wait in a thread notices that its own task is cancelled


def wait_for(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end, also where an event loop is running already, as in a notebook."""
    results: list[T] = []

    async def store_result() -> None:
        results.append(await coroutine)

    # The result does not come out of `asyncio.run`: Python 3.11 takes the repr of the task that it
    # has run, result included, and the repr of ten thousand samples takes seconds.
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(store_result())
    else:
        _run_in_thread(store_result())
    return results[0]


def _run_in_thread(coroutine: Coroutine[object, object, None]) -> None:
    """Run a coroutine in a loop of another thread; what interrupts this one cancels it there."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()
    ended: Future[None] = Future()

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        begun.set_result((asyncio.get_running_loop(), task))
        await coroutine

    def serve() -> None:
        try:
            asyncio.run(run())
        # It is raised where it is waited for, whatever it is.
        except BaseException as error:  # noqa: BLE001
            ended.set_exception(error)
        else:
            ended.set_result(None)

    thread = threading.Thread(target=serve, daemon=True)
    waiting = asyncio.current_task()
    try:
        thread.start()
        while not wait([ended], timeout=LOOK_S).done:
            # `asyncio.run` makes a cancellation of Ctrl-C, which does not interrupt this.
            if waiting is not None and waiting.cancelling():
                raise asyncio.CancelledError
    except BaseException:  # Ctrl-C above all, in a notebook: the run must not go on unseen
        loop, task = begun.result(timeout=BEGIN_S)
        with suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    ended.result()


K = TypeVar("K")
V = TypeVar("V")


class Once(Generic[K, V]):
    """Values that are made once, however many want one at the same time; a failure is no value."""

    def __init__(self) -> None:
        self.known: dict[K, V] = {}
        self._under_way: dict[K, asyncio.Future[None]] = {}

    async def get(self, key: K, make: Callable[[], Awaitable[V]]) -> V:
        """The value of a key; the first who wants it makes it, and the next one if that fails."""
        while key in self._under_way:
            await asyncio.wait([self._under_way[key]])
        if key not in self.known:
            is_done = self._under_way[key] = asyncio.get_running_loop().create_future()
            try:
                self.known[key] = await make()
            finally:
                del self._under_way[key]
                is_done.set_result(None)
        return self.known[key]
