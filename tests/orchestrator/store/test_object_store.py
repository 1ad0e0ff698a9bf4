"""Runs in an object store, by a real S3 server on this machine.

`nbest bench faults --only object_store` does the same at length: kills at random moments, a second
driver, and how much of a large run a worker reads that joins.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nbest.experiments.bench.faults.object_server import ObjectServer, object_server
from nbest.experiments.cli.app import app
from nbest.orchestrator.errors import InputError, RunLocked, StoreError
from nbest.orchestrator.store import object_lock as lock_module
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.object_lock import Holder, object_lock
from nbest.orchestrator.store.opening import CompactionWarning, open_run
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.store.writer import FileStore
from nbest.orchestrator.types import Query, Sample

LOCK = "run.lock"
QUERIES = [Query(id=f"q{i}", prompt="?") for i in range(3)]
OTHER = Holder(host="elsewhere", pid=1, started="2026-01-01T00:00:00", nonce="other")
CONFIG = """
name: t
dataset: {kind: jsonl, path: questions.jsonl}
prompt: {template: "{question}"}
model: {backend: fake}
strategy: {n: 4}
select: [vote]
grade: number
cluster: {local: true}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as running:
        yield running


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody settle: here nobody comes at the same moment."""
    monkeypatch.setattr(lock_module, "SETTLE_S", 0.0)


@pytest.fixture
def uri(server: ObjectServer, request: pytest.FixtureRequest) -> str:
    return server.uri(f"run-{abs(hash(request.node.name))}")


def sample(query_id: str, index: int) -> Sample:
    return Sample(id=f"r/{query_id}/s{index}", text=f"{index}", token_ids=(1, 2), logprobs=(-1, -2))


async def fill(uri: str, indices: range) -> None:
    with open_run(uri, fingerprint={"seed": 1}, config={}, queries=QUERIES) as run:
        async with aclosing(await FileStore.open(run.path)) as store:
            for query in QUERIES:
                for index in indices:
                    store.add(query.id, index, sample(query.id, index))
        run.compact()


async def test_what_is_stored_comes_back_and_may_grow(uri: str) -> None:
    await fill(uri, range(2))
    await fill(uri, range(2, 5))
    expected = {q.id: tuple(sample(q.id, index) for index in range(5)) for q in QUERIES}
    assert dict(RunReader(uri).samples()) == expected
    store = await FileStore.open(uri)
    async with aclosing(store):
        await store.prepare("q1")
        assert store.get("q1", 3) == sample("q1", 3)


async def test_a_cut_connection_is_an_error_and_costs_no_file(
    server: ObjectServer, uri: str
) -> None:
    """It is no damage: a damaged file counts as missing, and its samples are drawn again."""
    await fill(uri, range(3))
    reader = RunReader(uri, on_damage=lambda damage: pytest.fail(str(damage)))
    stored = reader.stored_samples()
    with server.proxy.cut(), pytest.raises(StoreError, match="cannot be read") as caught:
        stored.of("q0")
    assert "secret" not in str(caught.value)
    assert len(stored.of("q0")) == 3


async def test_a_worker_that_joins_reads_no_more_than_it_needs(
    server: ObjectServer, uri: str
) -> None:
    """Not the tokens: they are most of a run."""
    with open_run(uri, fingerprint={}, config={}, queries=QUERIES) as run:
        async with aclosing(await FileStore.open(run.path)) as store:
            for index in range(150):
                tokens = tuple((index * 7919 + i * 104_729) % 50_000 for i in range(20_000))
                store.add("q0", index, replace(sample("q0", index), token_ids=tokens))
        run.compact()
    folder = RunFolder(uri)
    total = sum(len(folder.read(name)) for name in folder.parts("samples"))
    before = server.proxy.sent_bytes
    async with aclosing(await FileStore.open(uri)):
        read = server.proxy.sent_bytes - before
    assert read < 0.2 * total  # the last 64 KB of each of its few files are always read


def test_one_holder_at_a_time(uri: str) -> None:
    folder = RunFolder(uri)
    folder.create()
    with object_lock(folder, LOCK) as require_held:
        require_held()
        assert json.loads(folder.read(LOCK))["pid"] == os.getpid()
    assert not folder.exists(LOCK)


def test_a_holder_whose_number_grows_is_alive(uri: str) -> None:
    folder = RunFolder(uri)
    folder.create()
    put(folder, OTHER)
    beats: list[float] = []

    def beat(seconds: float) -> None:
        beats.append(seconds)
        put(folder, replace(OTHER, beat=len(beats)))

    with (
        pytest.raises(RunLocked, match="is in use by host 'elsewhere', pid 1"),
        object_lock(folder, LOCK, beat),
    ):
        pytest.fail("it is held by another")
    assert len(beats) == 1


def test_a_holder_that_stands_still_is_dead(uri: str) -> None:
    folder = RunFolder(uri)
    folder.create()
    put(folder, OTHER)
    waited: list[float] = []
    with object_lock(folder, LOCK, waited.append):
        assert json.loads(folder.read(LOCK))["nonce"] != OTHER.nonce
    assert sum(waited) >= lock_module.STILL_S


def test_a_holder_of_this_machine_that_is_gone_is_not_waited_for(uri: str) -> None:
    folder = RunFolder(uri)
    folder.create()
    gone = replace(OTHER, host=os.uname().nodename, pid=2**22 - 1)
    assert gone.is_gone()
    put(folder, gone)
    waited: list[float] = []
    with object_lock(folder, LOCK, waited.append):
        assert sum(waited) == 0


def test_of_two_who_come_at_once_the_one_who_wrote_first_is_refused(uri: str) -> None:
    folder = RunFolder(uri)
    folder.create()
    with (
        pytest.raises(RunLocked, match="elsewhere"),
        object_lock(folder, LOCK, lambda seconds: put(folder, OTHER)),
    ):
        pytest.fail("the other was later, and is there")
    assert json.loads(folder.read(LOCK))["nonce"] == OTHER.nonce  # the lock is left to the other


def test_who_has_lost_the_lock_merges_nothing(uri: str) -> None:
    with open_run(uri, fingerprint={}, config={}, queries=QUERIES) as run:
        put(RunFolder(uri), OTHER)
        with pytest.warns(CompactionWarning, match="in use by host 'elsewhere'"):
            run.compact()


def put(folder: RunFolder, holder: Holder) -> None:
    folder.commit(LOCK, json.dumps(asdict(holder)).encode())


@pytest.mark.parametrize("place", ["s3:/bucket/run", "gs:/bucket/run", "file:/run"])
def test_a_uri_that_has_lost_a_slash_makes_no_local_folder(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="must be a path or a URI such as"):
        RunFolder(place)
    assert list(tmp_path.iterdir()) == []


def test_every_command_takes_a_uri(
    server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = ({"id": f"q{i}", "question": f"{i}?", "answer": "42"} for i in range(4))
    Path("questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("config.yaml").write_text(CONFIG)
    run, pool = server.uri("commands"), server.uri("pool")
    commands = [
        ["run", "config.yaml", "--out", run, "--quiet"],
        ["run", "config.yaml", "--out", run, "--quiet", "--set", "strategy.n=6"],
        ["select", run, "--select", "vote,first"],
        ["curve", run, "--select", "vote"],
        ["replay", run, "--strategy", "adaptive", "--max-n", "6"],
        ["report", run, "--out", "report.html"],
        ["export", run, "--format", "jsonl", "--out", "pool.jsonl"],
        ["import", "pool.jsonl", "--out", pool],
    ]
    for command in commands:
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        assert result.exit_code == 0, (command[0], result.output)
        assert "secret" not in result.output
    assert sum(len(samples) for _, samples in RunReader(pool).samples()) == 4 * 6
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.yaml",
        "pool.jsonl",
        "questions.jsonl",
        "report.html",
    ]
