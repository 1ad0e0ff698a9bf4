"""Engines that are there and do nothing: stopped from outside, or by a query that never ends."""

from __future__ import annotations

import os
import signal

from nbest.experiments.bench.faults.account import Account, FaultRow, Setting
from nbest.experiments.bench.faults.checks import conclude, same_results, witness
from nbest.experiments.bench.faults.processes import marked, wait_until
from nbest.experiments.bench.faults.scenarios.poison import require_quarantine, run_without_poison
from nbest.experiments.bench.faults.standing import ENGINE
from nbest.experiments.bench.faults.workplace import LOCAL, Load, Workplace, on_ray

STALL_S = 2  # no token for so long, with requests in flight, and an engine counts as hung
STALL = f"cluster.stall_timeout_s={STALL_S}"
MARKER = "the endless"


def stopped_engine(setting: Setting, load: Load | None = None) -> FaultRow:
    """One of two engines gets SIGSTOP; it must be replaced, and its requests go elsewhere."""
    account = Account(scenario="stop", rounds=1)
    place = Workplace(setting.folder, load or Load(token_s=0.05))
    ended = place.run("whole", LOCAL)
    account.require(ended.status == 0, f"unbroken run: {ended.last_words}")
    with place.started("run", on_ray(), STALL) as process:
        wait_until(lambda: place.num_parts("run") > 0, process)
        snapshot = witness(place.path("run"), place.journal("run"))
        os.kill(marked(process.mark, ENGINE)[0], signal.SIGSTOP)
        account.kills += 1
        ended = process.wait()
    account.require(ended.status == 0, f"exit status {ended.status}, {ended.last_words}")
    conclude(account, place, "run", same_results(place.path("whole")), [snapshot])
    return account.row()


def hanging_query(setting: Setting, load: Load | None = None) -> FaultRow:
    """One query's requests never get a token: its engines die of it, and it is given up."""
    account = Account(scenario="hang")
    special = {"poison": MARKER}
    place = Workplace(setting.folder, load or Load(queries=60, n=4, special=special))
    run_without_poison(account, place)
    ended = place.run("run", on_ray(), f"model.hang_on={MARKER}", f"model.stall_s={STALL_S}")
    require_quarantine(account, place, "hang", ended)
    return account.row()
