"""Tests that one client at a time has the engine for itself."""

from __future__ import annotations

import asyncio

import pytest

from nbest.orchestrator.cluster.engine.reservation import Reservation


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_nobody_is_kept_out_until_somebody_wants_the_engine() -> None:
    reservation = Reservation()
    assert not reservation.excludes("a")
    token = await reservation.hold("a")
    assert (reservation.excludes("a"), reservation.excludes("b")) == (False, True)
    reservation.release(token)
    assert not reservation.excludes("b")


async def test_clients_have_it_in_the_order_in_which_they_came() -> None:
    reservation = Reservation()
    token = await reservation.hold("a")
    waiting = [asyncio.create_task(reservation.hold(client)) for client in ("b", "c")]
    await settle()
    for client, task in zip(("b", "c"), waiting, strict=True):
        assert not task.done()
        reservation.release(token)
        assert reservation.excludes("a")  # there is no gap between two
        token = await task
        assert reservation.holder == client
    reservation.release(token)
    assert not reservation.is_wanted


async def test_a_time_that_is_over_cannot_end_the_next_one() -> None:
    reservation = Reservation()
    old = await reservation.hold("a")
    reservation.release(old)
    await reservation.hold("b")
    reservation.release(old)
    assert reservation.holder == "b"


async def test_who_no_longer_waits_wants_nothing() -> None:
    reservation = Reservation()
    token = await reservation.hold("a")
    waiting = asyncio.create_task(reservation.hold("b"))
    await settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    reservation.release(token)
    assert not reservation.is_wanted
