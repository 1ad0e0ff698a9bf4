"""A run to choose from, for the tests of `nbest pick`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nbest.experiments.questions.gold import Gold
from nbest.experiments.runs.gold_file import write_gold
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.writer import FileStore
from nbest.orchestrator.types import Message, Query, Sample, Status


def picked_run(folder: Path, texts: Mapping[str, Sequence[str]], *, is_chat: bool = False) -> Path:
    """A run with those texts by query id; the gold answer of each is its first text."""
    with ThreadPoolExecutor(1) as pool:  # the caller may have an event loop, as Playwright does
        return pool.submit(asyncio.run, _made(folder / "run", texts, is_chat)).result()


async def _made(run: Path, texts: Mapping[str, Sequence[str]], is_chat: bool) -> Path:
    queries = [Query(id=query_id, prompt=_prompt(query_id, is_chat)) for query_id in texts]
    config = {"extract": "whole_text", "grade": "exact"}
    with open_run(run, fingerprint={}, config=config, queries=queries):
        write_gold(run, {q: Gold(answer=group[0]) for q, group in texts.items()})
        store = await FileStore.open(run)
        for query_id, group in texts.items():
            for i, text in enumerate([*group, "cut off"]):
                status = Status.OK if i < len(group) else Status.TRUNCATED
                sample = Sample(id=f"t/{query_id}/s{i}", text=text, status=status)
                store.add(query_id, i, sample)
        await store.aclose()
    return run


def _prompt(query_id: str, is_chat: bool) -> str | tuple[Message, ...]:
    text = f"question {query_id}"
    return (Message(role="user", content=text),) if is_chat else text
