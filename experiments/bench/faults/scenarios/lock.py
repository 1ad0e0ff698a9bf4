"""Of two drivers on one run folder the second is refused; a dead one's lock is taken over."""

from __future__ import annotations

import signal

from nbest.experiments.bench.faults.account import Account, FaultRow, Setting
from nbest.experiments.bench.faults.checks import conclude, same_results, witness
from nbest.experiments.bench.faults.processes import wait_until
from nbest.experiments.bench.faults.workplace import LOCAL, Load, Workplace


def two_drivers(setting: Setting, load: Load | None = None) -> FaultRow:
    """Start a second driver beside the first, then a third after the first was killed."""
    account = Account(scenario="two_drivers", rounds=1)
    place = Workplace(setting.folder, load or Load(queries=60, token_s=0.25))
    ended = place.run("whole", LOCAL)
    account.require(ended.status == 0, f"unbroken run: {ended.last_words}")
    with place.started("run", LOCAL) as first:
        wait_until(lambda: place.num_parts("run") > 0, first)
        second = place.run("run", LOCAL)
        account.require(second.status == 1, f"second driver: exit status {second.status}")
        refusal = second.stderr
        for part in ("is in use", "host", f"pid {first.pid}", "since "):
            account.require(part in refusal, f"the refusal says no {part!r}: {refusal.strip()}")
        account.require(refusal.count("\n") == 1, f"the refusal has {refusal.count(chr(10))} lines")
        account.require(first.is_running, "the first driver had ended before its time")
        first.send(signal.SIGKILL)
        first.wait()
        account.kills += 1
        snapshot = witness(place.path("run"), place.journal("run"))
        third = place.run("run", LOCAL)
    account.require(third.status == 0, f"stale lock: {third.status}, {third.last_words}")
    conclude(account, place, "run", same_results(place.path("whole")), [snapshot])
    return account.row()
