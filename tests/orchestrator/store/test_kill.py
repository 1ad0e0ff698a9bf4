"""Kills processes with SIGKILL; what they had reported as committed must be there, once."""

import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from nbest.orchestrator.errors import RunLocked
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Query

REPOSITORY = Path(__file__).parents[3]
QUERIES = [Query(id=f"q{i}", prompt="") for i in range(7)]
ROUNDS = 10

# Draws what is missing, in order; reports a key when it is on disk. Ends when it is killed.
WRITER = """
import asyncio, itertools, sys
from contextlib import aclosing
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.writer import FileStore
from nbest.orchestrator.types import Outcome, Query, Record, Sample

async def main(path, name):
    queries = [Query(id=f"q{i}", prompt="") for i in range(7)]
    print("started", flush=True)
    with open_run(path, fingerprint={}, config={}, queries=queries) as run:
        async with aclosing(await FileStore.open(run.path)) as store:
            for index in itertools.count():
                drawn = [q.id for q in queries if store.get(q.id, index) is None]
                for query_id in drawn:
                    store.add(query_id, index, Sample(id="", text=name, token_ids=(index,) * 50))
                    store.add_record(Record(query_id=query_id, strategy=str(index),
                                            outcome=Outcome.ANSWERED, answer=name))
                await store.flush()
                for query_id in drawn:
                    print(query_id, index, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""

# Holds the run and forks a process, which prints a line; both wait for ever.
HOLDER = """
import os, sys, threading
from nbest.orchestrator.store.opening import open_run

with open_run(sys.argv[1], fingerprint={}, config={}, queries=[]):
    if os.fork() == 0:  # the child prints: by then its fork hooks have run
        print(os.getppid(), os.getpid(), flush=True)
    threading.Event().wait()
"""


@contextmanager
def script(text: str, *arguments: object) -> Iterator[Iterator[str]]:
    """Run a Python script and yield the lines that it prints; kill it at the end."""
    command = [sys.executable, "-c", text, *map(str, arguments)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield iter(process.stdout)
        finally:
            process.send_signal(signal.SIGKILL)


def test_what_was_reported_is_there_once_and_was_drawn_once(tmp_path: Path) -> None:
    run = tmp_path / "run"
    reported: dict[tuple[str, int], str] = {}
    dice = random.Random(0)
    for turn in range(ROUNDS):
        with script(WRITER, run, f"writer {turn}") as lines:
            for line in islice(lines, dice.randrange(1, 120)):
                if line != "started\n":
                    query_id, index = line.split()
                    assert reported.setdefault((query_id, int(index)), f"writer {turn}")
                    assert reported[query_id, int(index)] == f"writer {turn}", "drawn twice"
    samples = {
        (query_id, s.token_ids[0]): s.text
        for query_id, of_query in RunReader(run).samples()
        for s in of_query
    }
    assert len(samples) == sum(len(of_query) for _, of_query in RunReader(run).samples())
    assert len(reported) > ROUNDS
    assert {key: samples[key] for key in reported} == reported
    records = {(r.query_id, int(r.strategy)): r.answer for r in RunReader(run).records()}
    assert {key: records[key] for key in reported} == reported
    assert {key: samples[key] for key in records} == records, "a record without its sample"


def test_a_second_driver_is_told_who_has_the_run(tmp_path: Path) -> None:
    with script(HOLDER, tmp_path) as lines:
        pid, child = next(lines).split()
        with (
            pytest.raises(RunLocked, match=rf"is in use by host '.*', pid {pid}, since 2.*\+00:00"),
            open_run(tmp_path, fingerprint={}, config={}, queries=QUERIES),
        ):
            pass
    try:  # the holder is dead and its child is not
        with open_run(tmp_path, fingerprint={}, config={}, queries=QUERIES):
            pass
    finally:
        subprocess.run(["kill", "-KILL", child], check=True)


def test_one_process_cannot_hold_a_run_twice(tmp_path: Path) -> None:
    with (
        open_run(tmp_path, fingerprint={}, config={}, queries=QUERIES),
        pytest.raises(RunLocked),
        open_run(tmp_path, fingerprint={}, config={}, queries=QUERIES),
    ):
        pass
    with open_run(tmp_path, fingerprint={}, config={}, queries=QUERIES):
        pass
