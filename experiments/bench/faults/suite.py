"""`nbest bench faults`: breaks real runs with fake engines in many ways, and counts the losses.

Each scenario is a function from a setting to a row; this file knows only their names.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from nbest.experiments.bench.faults.account import FaultRow, Scenario, Setting
from nbest.experiments.language.text import suggestion
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.requirements import require

if TYPE_CHECKING:
    from rich.table import Table

SCENARIOS_ROOM = "nbest.experiments.bench.faults.scenarios"
SCENARIOS = {  # a name to `file:function` of that room
    "driver": "driver:driver",
    "cluster": "cluster:cluster",
    "strategies": "strategies:strategies",
    "search_driver": "search:search_driver",
    "search_cluster": "search:search_cluster",
    "corrected_driver": "search:corrected_driver",
    "poison": "poison:poisoned_engine",
    "poison_worker": "poison:poisoned_worker",
    "hang": "hang:hanging_query",
    "stop": "hang:stopped_engine",
    "overload": "rows:overload",
    "bad_rows": "rows:bad_rows",
    "full_disk": "disk:full_disk",
    "changed": "settings:changed",
    "shards": "settings:shards",
    "signals": "signals:signals",
    "second_signal": "signals:second_signal",
    "two_drivers": "lock:two_drivers",
    "object_store": "object_store:object_store",
}

REPEATED = {
    *("driver", "cluster", "strategies", "object_store", "search_driver", "search_cluster"),
    "corrected_driver",
}
"""Scenarios with kills at random moments; the others do the same in every round"""


def measure_faults(
    only: Sequence[str], rounds: int, seed: int, tell: Callable[[str], None]
) -> list[FaultRow]:
    """Run the named scenarios, or all of them, each in a folder that is removed afterwards."""
    require(rounds >= 1, "rounds", "be at least 1", rounds)
    scenarios = {name: _scenario(name) for name in only or SCENARIOS}
    rows = []
    for name, scenario in scenarios.items():
        tell(f"{name} ...")
        with tempfile.TemporaryDirectory(prefix="nbest-faults-") as folder:
            times = rounds if name in REPEATED else 1
            setting = Setting(folder=Path(folder), rounds=times, seed=seed, tell=tell)
            rows.append(scenario(setting))
        tell(f"{name} {'holds' if rows[-1].holds else 'DOES NOT HOLD'}: {rows[-1].note}")
    return rows


def _scenario(name: str) -> Scenario:
    if name not in SCENARIOS:
        raise InputError(f"no scenario named {name!r}{suggestion(name, SCENARIOS)}")
    module, _, function = SCENARIOS[name].partition(":")
    return cast("Scenario", getattr(import_module(f"{SCENARIOS_ROOM}.{module}"), function))


def faults_table(rows: Sequence[FaultRow]) -> Table:
    """A table with a line for each scenario."""
    from rich.table import Table
    from rich.text import Text

    from nbest.experiments.language.text import printable

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("scenario", no_wrap=True)
    counts = ("rounds", "kills", "lost", "duplicated", "regenerated", "unequal", "seconds")
    for title in counts:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("holds")
    table.add_column("note")
    for row in rows:
        cells = [str(row.as_json()[title]) for title in counts]
        table.add_row(row.scenario, *cells, str(row.holds).lower(), Text(printable(row.note)))
    return table
