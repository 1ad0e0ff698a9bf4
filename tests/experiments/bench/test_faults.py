"""`nbest bench faults`: what it counts, and its scenarios, each once and small.

Kills of the driver, a worker or an engine in mid-run are tested in tests/experiments/cli and
tests/orchestrator/cluster too.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from nbest.experiments.bench.faults.account import Account, FaultRow, Setting
from nbest.experiments.bench.faults.checks import (
    repeated_keys,
    same_results,
    stored_samples,
    witness,
)
from nbest.experiments.bench.faults.processes import marked, python, wait_until
from nbest.experiments.bench.faults.scenarios.cluster import cluster
from nbest.experiments.bench.faults.scenarios.disk import can_mount, full_disk
from nbest.experiments.bench.faults.scenarios.driver import driver
from nbest.experiments.bench.faults.scenarios.rows import BAD, bad_rows
from nbest.experiments.bench.faults.scenarios.signals import second_signal, signals
from nbest.experiments.bench.faults.scenarios.strategies import strategies
from nbest.experiments.bench.faults.suite import (
    SCENARIOS,
    SCENARIOS_ROOM,
    faults_table,
    measure_faults,
)
from nbest.experiments.bench.faults.workplace import LOCAL, Load
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.writer import FileStore
from nbest.orchestrator.types import Outcome, Query, Record, Sample, Status

SMALL = Load(queries=60, n=4, token_s=0.1)


# What is counted


def sample(index: int, text: str = "42", status: Status = Status.OK) -> Sample:
    return Sample(id=f"t/q{index % 3}/s{index // 3}", text=text, status=status, generated_tokens=1)


async def write(run: Path, *batches: list[Sample]) -> Path:
    """A run of three queries whose samples were committed in those batches, and its records."""
    queries = [Query(id=f"q{i}", prompt="?") for i in range(3)]
    with open_run(run, fingerprint={}, config={}, queries=queries):
        for batch in batches:
            store = await FileStore.open(run)
            for item in batch:
                _, query_id, place = item.id.split("/")
                store.add(query_id, int(place[1:]), item)
            await store.aclose()
        store = await FileStore.open(run)
        for query in queries:
            store.add_record(
                Record(query_id=query.id, strategy="s", outcome=Outcome.ANSWERED, seconds=1.0)
            )
        await store.aclose()
    return run


ALL = [sample(i) for i in range(9)]


async def test_results_are_the_same_whatever_the_order_the_files_the_times_and_the_engine(
    tmp_path: Path,
) -> None:
    one = await write(tmp_path / "one", ALL)
    slower = [replace(s, total_s=9.0, first_token_s=1.0, engine="engine7") for s in ALL]
    random.Random(1).shuffle(slower)
    two = await write(tmp_path / "two", slower[:4], slower[4:])
    assert same_results(one) == same_results(two)


@pytest.mark.parametrize(
    "change",
    [
        {"text": "41"},
        {"token_ids": (1,)},
        {"logprobs": (-0.5,)},
        {"status": Status.TRUNCATED},
        {"generated_tokens": 2},
    ],
    ids=str,
)
async def test_results_differ_when_a_sample_does(tmp_path: Path, change: dict[str, object]) -> None:
    one = await write(tmp_path / "one", ALL)
    two = await write(tmp_path / "two", [*ALL[:-1], replace(ALL[-1], **change)])  # type: ignore[arg-type] # of the case
    assert same_results(one) != same_results(two)
    assert same_results(one, {"q2"}) == same_results(two, {"q2"})


async def test_results_differ_when_a_sample_is_missing(tmp_path: Path) -> None:
    one = await write(tmp_path / "one", ALL)
    two = await write(tmp_path / "two", ALL[:-1])
    assert same_results(one) != same_results(two)


async def test_a_key_is_repeated_when_two_final_rows_have_it(tmp_path: Path) -> None:
    run = await write(tmp_path / "run", ALL, ALL[:2], [sample(2, status=Status.CANCELLED)])
    assert repeated_keys(run) == 2
    assert repeated_keys(await write(tmp_path / "once", ALL)) == 0


async def test_a_witness_tells_what_is_lost_and_what_was_drawn_again(tmp_path: Path) -> None:
    run, journal = await write(tmp_path / "run", ALL[:6]), tmp_path / "journal"
    journal.write_text("".join(f"1 {s.id}\n" for s in ALL[:6]))
    snapshot = witness(run, journal)
    after = {**stored_samples(run), ("q0", "t/q0/s2"): sample(6)}
    assert (snapshot.lost(after), snapshot.regenerated(journal)) == (0, 0)
    after[("q0", "t/q0/s0")] = sample(0, "another")
    del after[("q1", "t/q1/s0")]
    with journal.open("a") as file:
        file.write("2 t/q2/s0\n2 t/q0/s2\n")
    assert (snapshot.lost(after), snapshot.regenerated(journal)) == (2, 1)


def test_nothing_is_stored_where_there_is_no_run(tmp_path: Path) -> None:
    assert witness(tmp_path / "none", tmp_path / "journal").samples == {}


@pytest.mark.parametrize("count", ["lost", "duplicated", "regenerated", "unequal"])
def test_a_row_holds_when_nothing_is_counted_and_nobody_complains(count: str) -> None:
    account = Account(scenario="x", kills=3)
    account.require(True, "not this")
    assert account.row().holds
    setattr(account, count, 1)
    assert not account.row().holds


def test_a_complaint_is_the_note() -> None:
    account = Account(scenario="x", remarks=["something else"])
    assert account.row().note == "something else"
    account.require(False, "it took too long")
    row = account.row()
    assert (row.holds, row.note) == (False, "it took too long")


def test_patience_stretches_what_an_ending_may_take() -> None:
    account = Account(scenario="x", patience=2.0)
    account.require_in_time(5.9, 3.0, "it ended")
    assert account.row().holds
    account.require_in_time(6.1, 3.0, "it ended")
    assert account.row().note == "it ended after 6.1 s"


# Processes


def test_processes_are_found_by_their_mark_and_swept(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.run(['sleep', '1000'])"
    (tmp_path / "parent.py").write_text(code)
    with python("parent", folder=tmp_path, env={"PYTHONPATH": str(tmp_path)}) as process:
        assert wait_until(lambda: bool(marked(process.mark, "sleep")), process)
        pids = marked(process.mark)
        assert process.pid in pids
        assert os.getpid() not in pids
    assert not marked(process.mark)


def test_waiting_ends_with_the_process(tmp_path: Path) -> None:
    (tmp_path / "brief.py").write_text("print('gone')")
    with python("brief", folder=tmp_path, env={"PYTHONPATH": str(tmp_path)}) as process:
        assert not wait_until(lambda: False, process)
        ended = process.wait()
    assert (ended.status, ended.stdout, ended.last_words) == (0, "gone\n", "nothing")


# The command


def test_an_unknown_scenario_is_wrong_input() -> None:
    with pytest.raises(InputError, match="no scenario named 'drivers'; did you mean 'driver'"):
        measure_faults(["drivers"], 1, 1, lambda line: None)
    with pytest.raises(InputError, match="rounds must be at least 1, got 0"):
        measure_faults([], 0, 1, lambda line: None)


def test_a_table_has_a_line_a_row() -> None:
    row = Account(scenario="driver", rounds=2, kills=2).row()
    assert faults_table([row, replace(row, scenario="cluster", holds=False)]).row_count == 2


def test_the_command_prints_one_document_and_says_whether_all_holds(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "nbest", "bench", "faults", "--json"]
    process = subprocess.run(
        [*command, "--only", "two_drivers"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    (row,) = json.loads(process.stdout)["rows"]
    assert (row["scenario"], row["kills"], row["holds"]) == ("two_drivers", 1, True), row
    assert process.returncode == 0
    assert process.stderr.startswith("two_drivers ...\n")


# The scenarios


def ignore(line: str) -> None:
    """No display."""


def carried_out(scenario: Callable[[Setting], FaultRow], folder: Path) -> FaultRow:
    # How long an ending takes is measured by the command, not by a test on a machine at work.
    row = scenario(Setting(folder=folder, rounds=1, seed=1, tell=ignore, patience=20.0))
    assert row.holds, row
    return row


def test_every_name_leads_to_a_scenario() -> None:
    for path in SCENARIOS.values():
        module, _, function = path.partition(":")
        assert callable(getattr(import_module(f"{SCENARIOS_ROOM}.{module}"), function))


def test_the_driver_is_killed_at_a_random_moment(tmp_path: Path) -> None:
    assert carried_out(lambda setting: driver(setting, SMALL), tmp_path).kills == 1


def test_a_rule_and_a_budget_come_to_the_same_after_a_kill(tmp_path: Path) -> None:
    load = Load(queries=30, token_s=0.02)
    assert carried_out(lambda setting: strategies(setting, load, (LOCAL,)), tmp_path).rounds == 2


@pytest.mark.skipif(not can_mount(), reason="this machine allows no mount namespace")
def test_a_full_disk_stops_the_run_which_goes_on_when_there_is_room(tmp_path: Path) -> None:
    carried_out(lambda setting: full_disk(setting, SMALL, [LOCAL]), tmp_path)


def test_bad_rows_are_errors_of_their_own(tmp_path: Path) -> None:
    load = Load(queries=96, n=2, token_s=0.0, special=BAD)
    carried_out(lambda setting: bad_rows(setting, load, [LOCAL]), tmp_path)


def test_a_signal_to_the_whole_group_ends_the_run_in_time(tmp_path: Path) -> None:
    cases = [(LOCAL, "SIGTERM to all"), (LOCAL, "SIGINT to all")]
    assert carried_out(lambda setting: signals(setting, SMALL, cases), tmp_path).kills == 2


@pytest.mark.ray
def test_a_second_interrupt_leaves_at_once(tmp_path: Path) -> None:
    carried_out(lambda setting: second_signal(setting, SMALL), tmp_path)


@pytest.mark.ray
def test_a_cluster_of_three_loses_an_engine_and_more(tmp_path: Path) -> None:
    row = carried_out(lambda setting: cluster(setting, SMALL), tmp_path)
    assert row.kills >= 1  # a run may end before the second
