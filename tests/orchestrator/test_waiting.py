"""Waiting for a coroutine from code that is not asynchronous."""

from __future__ import annotations

import asyncio
import signal

import pytest

from nbest.orchestrator.tasks import wait_for


class Long:
    """A result that takes long to spell out, and knows whether somebody has done so."""

    def __init__(self) -> None:
        self.is_spelled = False

    def __repr__(self) -> str:
        self.is_spelled = True
        return "long"


async def made() -> Long:
    await asyncio.sleep(0)
    return Long()


def test_the_result_is_not_spelled_out() -> None:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else nothing is tested
    assert not wait_for(made()).is_spelled


async def test_it_works_where_a_loop_is_running() -> None:
    assert not wait_for(made()).is_spelled


def test_a_failure_is_raised() -> None:
    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        wait_for(fails())
