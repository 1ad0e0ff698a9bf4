"""Waiting for a coroutine from code that is not asynchronous."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from nbest.orchestrator.tasks import wait_for


class SlowRepr:
    """A result whose repr would take long, and which knows whether anybody has asked for it."""

    def __init__(self) -> None:
        self.has_been_shown = False

    def __repr__(self) -> str:
        self.has_been_shown = True
        return "long"


async def slow_repr() -> SlowRepr:
    await asyncio.sleep(0)
    return SlowRepr()


def test_the_repr_of_the_result_is_not_taken() -> None:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else nothing is tested
    assert not wait_for(slow_repr()).has_been_shown


async def test_it_works_where_a_loop_is_running() -> None:
    assert not wait_for(slow_repr()).has_been_shown


def test_a_failure_is_raised() -> None:
    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        wait_for(fails())


class Interrupted:
    """A coroutine that interrupts the process, then waits to be cancelled."""

    def __init__(self) -> None:
        self.was_cancelled = False

    async def run(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


def test_an_interrupt_ends_it_where_a_script_runs_a_loop() -> None:
    interrupted = Interrupted()

    async def script() -> None:
        wait_for(interrupted.run())

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(script())
    assert interrupted.was_cancelled


def test_an_interrupt_ends_it_in_a_notebook() -> None:
    """A notebook runs its loop for ever, and cells in it: Ctrl-C is an exception in the cell."""
    interrupted, errors = Interrupted(), []
    loop = asyncio.new_event_loop()

    def cell() -> None:
        try:
            wait_for(interrupted.run())
        except KeyboardInterrupt as error:
            errors.append(error)
        loop.stop()

    loop.call_soon(cell)
    loop.run_forever()
    loop.close()
    assert errors
    assert interrupted.was_cancelled
