"""A scheduler's or a user's signal ends a run soon, with all samples written, and resumable.

The first signal asks for an orderly end; a second one ends the run at once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence

from nbest.experiments.bench.faults.account import Account, FaultRow, Setting
from nbest.experiments.bench.faults.checks import conclude, same_results, witness
from nbest.experiments.bench.faults.processes import Process, marked, wait_until
from nbest.experiments.bench.faults.standing import WORKER
from nbest.experiments.bench.faults.workplace import BOTH, LOCAL, Load, Where, Workplace, on_ray

FLUSH_S = 5.0
GRACE_S = 30.0  # what schedulers grant before they kill
AT_ONCE_S = 3.0  # Ray needs two of them to take its processes along
ORDERLY_S = 1.0
INTERRUPTED = 75

Send = Callable[[Process], None]
SENDS: dict[str, Send] = {
    "SIGTERM": lambda process: process.send(signal.SIGTERM),
    "SIGINT": lambda process: process.send(signal.SIGINT),
    "SIGTERM to all": lambda process: process.send_to_group(signal.SIGTERM),
    "SIGINT to all": lambda process: process.send_to_group(signal.SIGINT),
}
CASES = tuple((where, name) for where in BOTH for name in SENDS)


def signals(
    setting: Setting, load: Load | None = None, cases: Sequence[tuple[Where, str]] = CASES
) -> FaultRow:
    """Send each signal to the driver alone and to its group, in one process and on Ray."""
    account = Account(scenario="signals", patience=setting.patience)
    place = Workplace(setting.folder, load or Load(queries=100))
    ended = place.run("whole", LOCAL)
    account.require(ended.status == 0, f"unbroken run: {ended.last_words}")
    reference = same_results(place.path("whole"))
    for where, name in cases:
        _interrupt(account, place, where, name, reference)
        setting.tell(f"signals, {name}, {where.name}: {account.summary}")
    return account.row()


def _interrupt(account: Account, place: Workplace, where: Where, name: str, reference: str) -> None:
    run = f"{where.name}-{name}".replace(" ", "-")
    with place.started(run, where) as process:
        wait_until(lambda: place.num_parts(run) > 0, process)
        sent_s = time.time()
        SENDS[name](process)
        ended = process.wait()
    took_s, flush_s = time.time() - sent_s, _last_commit_s(place, run) - sent_s
    snapshot = witness(place.path(run), place.journal(run))
    account.rounds += 1
    account.kills += 1
    what = f"{name}, {where.name}"
    account.require(ended.status == INTERRUPTED, f"{what}: {ended.status}, {ended.last_words}")
    account.require_in_time(flush_s, FLUSH_S, f"{what}: flushed")
    account.require_in_time(took_s, GRACE_S, f"{what}: ended")
    account.remarks.append(f"{what}: {took_s:.1f} s")
    is_short = ended.stderr.count("Traceback") == 0
    account.require(is_short, f"{what}: a traceback")
    again = place.run(run, where)
    account.require(again.status == 0, f"{what}, resumed: {again.status}, {again.last_words}")
    conclude(account, place, run, reference, [snapshot])


def _last_commit_s(place: Workplace, run: str) -> float:
    """The time at which the last file of the run was written, in seconds since 1970."""
    return max(path.stat().st_mtime for path in place.path(run).rglob("*.parquet"))


def second_signal(setting: Setting, load: Load | None = None) -> FaultRow:
    """The first Ctrl-C waits for a worker that does not answer; the second one does not wait."""
    account = Account(scenario="second_signal", rounds=1, patience=setting.patience)
    place = Workplace(setting.folder, load or Load(queries=100, token_s=0.05))
    with place.started("run", on_ray()) as process:
        wait_until(lambda: place.num_parts("run") > 0, process)
        os.kill(marked(process.mark, WORKER)[0], signal.SIGSTOP)
        process.send(signal.SIGINT)
        # The orderly end is under way once the other worker has ended, or no longer than this.
        time.sleep(ORDERLY_S)
        account.require(process.is_running, "the first signal did not wait for the worker")
        sent_s = time.monotonic()
        process.send(signal.SIGINT)
        ended = process.wait()
    took_s = time.monotonic() - sent_s
    account.kills += 2
    account.require_in_time(took_s, AT_ONCE_S, "the second signal: ended")
    account.require(ended.status not in (0, None), f"exit status {ended.status}")
    account.remarks.append(f"exit status {ended.status} after {took_s:.1f} s")
    snapshot = witness(place.path("run"), place.journal("run"))
    again = place.run("run", LOCAL)
    account.require(again.status == 0, f"resumed: {again.status}, {again.last_words}")
    whole = place.run("whole", LOCAL)
    account.require(whole.status == 0, f"unbroken run: {whole.last_words}")
    conclude(account, place, "run", same_results(place.path("whole")), [snapshot])
    return account.row()
