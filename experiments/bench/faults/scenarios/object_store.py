"""The driver of a run in an object store is killed at random moments; a second one is refused."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from dataclasses import replace

import numpy as np

from nbest.experiments.bench.faults.account import Account, FaultRow, Setting
from nbest.experiments.bench.faults.checks import conclude, same_results, witness
from nbest.experiments.bench.faults.object_server import ObjectServer, object_server
from nbest.experiments.bench.faults.processes import wait_until
from nbest.experiments.bench.faults.workplace import LOCAL, Load, Workplace
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.index import SampleIndex
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.writer import FileStore
from nbest.orchestrator.types import Query, Sample

DRAWING_S = 10.0  # a run must last longer than the lock is settled and a second driver looks at it
MOST_AT_JOIN = 0.02  # of the bytes of a run
LARGE_QUERIES, LARGE_N, LARGE_TOKENS = 60, 64, 1000


def object_store(setting: Setting, load: Load | None = None) -> FaultRow:
    """Kill the driver once in every round, and go on to the end by the same command."""
    account = Account(scenario="object_store")
    chance = random.Random(setting.seed)
    with object_server() as server:
        place = Workplace(setting.folder, load or Load(), uri=server.uri)
        ended, span_s = place.timed("whole", LOCAL)
        account.require(ended.status == 0, f"unbroken run: {ended.last_words}")
        reference = same_results(place.place_of("whole"))
        for number in range(setting.rounds):
            _round(account, place, f"round{number}", chance.uniform(0, span_s), reference)
            setting.tell(f"object_store {number + 1}/{setting.rounds}: {account.summary}")
        _second_driver(account, setting, server)
        _join(account, server)
    return account.row()


def _round(account: Account, place: Workplace, run: str, moment_s: float, reference: str) -> None:
    with place.started(run, LOCAL) as process:
        account.kills += place.kill_after(moment_s, run, process)
    snapshot = witness(place.place_of(run), place.journal(run))
    ended = place.run(run, LOCAL)
    account.require(ended.status == 0, f"{run}: {ended.last_words}")
    account.rounds += 1
    conclude(account, place, run, reference, [snapshot])


def _second_driver(account: Account, setting: Setting, server: ObjectServer) -> None:
    """A second driver is refused while the first is alive."""
    slow = Load(queries=16, n=4, token_s=1.0, max_concurrency=2)
    slow = replace(slow, token_s=DRAWING_S * 3 / (slow.samples / slow.max_concurrency))
    place = Workplace(setting.folder / "second", slow, uri=server.uri)
    with place.started("two", LOCAL) as first:
        wait_until(lambda: place.has_drawn("two"), first)
        second = place.run("two", LOCAL)
        account.require(second.status == 1, f"second driver: exit status {second.status}")
        account.require("is in use by host" in second.stderr, f"it says {second.stderr.strip()}")
        account.require(first.is_running, "the first driver had ended before its time")


def _join(account: Account, server: ObjectServer) -> None:
    """A worker that joins reads little of a run: the footers, and which queries are where."""
    uri = server.uri("large")
    asyncio.run(_fill(uri))
    folder = RunFolder(uri)
    total = sum(len(folder.read(name)) for name in folder.parts("samples"))
    before = server.proxy.sent_bytes
    SampleIndex(folder)
    read = server.proxy.sent_bytes - before
    account.require(read <= MOST_AT_JOIN * total, f"a join reads {read:,} of {total:,} bytes")
    account.remarks.append(f"a join reads {read / total:.2%} of {total / 1e6:.0f} MB of samples")


async def _fill(uri: str) -> None:
    """Store samples of a thousand tokens, of which no two are alike."""
    rng = np.random.default_rng(1)
    queries = [Query(id=f"q{i}", prompt="?") for i in range(LARGE_QUERIES)]
    with open_run(uri, fingerprint={}, config={}, queries=queries) as run:
        async with aclosing(await FileStore.open(run.path)) as store:
            for query in queries:
                for index in range(LARGE_N):
                    store.add(query.id, index, _long_sample(f"large/{query.id}/s{index}", rng))
                await store.flush()
        run.compact()


def _long_sample(sample_id: str, rng: np.random.Generator) -> Sample:
    logprobs = tuple((-rng.exponential(size=LARGE_TOKENS)).tolist())
    token_ids = tuple(rng.integers(0, 50_000, LARGE_TOKENS).tolist())
    return Sample(id=sample_id, text="x", token_ids=token_ids, logprobs=logprobs)
