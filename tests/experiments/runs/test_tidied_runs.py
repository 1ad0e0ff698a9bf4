"""Small files are merged while a run goes on, never at the same time as at its end."""

from __future__ import annotations

import asyncio
import threading

from nbest.experiments.runs.execute import tidied


async def test_a_long_run_is_tidied_again_and_again() -> None:
    loop, seen = asyncio.get_running_loop(), asyncio.Event()
    calls: list[int] = []

    def compact() -> None:
        calls.append(threading.get_ident())
        if len(calls) == 3:
            loop.call_soon_threadsafe(seen.set)

    async with tidied(compact, every_s=0.0):
        await seen.wait()
    assert threading.get_ident() not in calls  # sampling does not wait for it
    count = len(calls)
    await asyncio.sleep(0)
    assert len(calls) == count


async def test_the_end_of_a_run_waits_for_a_compaction_that_has_begun() -> None:
    loop, begun, may_end = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    ended: list[str] = []

    def compact() -> None:
        loop.call_soon_threadsafe(begun.set)
        may_end.wait()
        ended.append("compaction")

    async def run() -> None:
        async with tidied(compact, every_s=0.0):
            await begun.wait()
        ended.append("run")

    running = asyncio.create_task(run())
    await begun.wait()
    may_end.set()
    await running
    assert ended[-1] == "run"


async def test_a_short_run_is_not_tidied() -> None:
    calls: list[None] = []
    async with tidied(lambda: calls.append(None)):
        await asyncio.sleep(0)
    assert calls == []
