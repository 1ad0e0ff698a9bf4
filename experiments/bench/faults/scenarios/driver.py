"""The driver is killed at a random moment, and the same command goes on from there.

Half of the rounds run in one process; of the others, half start Ray themselves and half join a
cluster that stays, whose workers may outlive their driver for a while and write on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nbest.experiments.bench.faults.account import Account, FaultRow, Setting
from nbest.experiments.bench.faults.checks import (
    conclude,
    drawn_ids,
    same_results,
    witness,
)
from nbest.experiments.bench.faults.standing import standing_cluster
from nbest.experiments.bench.faults.workplace import LOCAL, Load, Where, Workplace, on_ray

ATTEMPTS = 3  # of the same command after a kill, until it says that all is done


def driver(setting: Setting, load: Load | None = None) -> FaultRow:
    """Kill the driver once in every round, in turn in one process and on Ray."""
    account = Account(scenario="driver")
    place = Workplace(setting.folder, load or Load())
    chance = random.Random(setting.seed)
    with _places(setting.folder, setting.rounds) as wheres:
        used = {where.name: where for where in wheres[: setting.rounds]}
        spans_s = {name: _unbroken(account, place, where) for name, where in used.items()}
        reference = same_results(place.path("whole-local"))
        for name in spans_s:
            account.unequal += same_results(place.path(f"whole-{name}")) != reference
        again = 0
        for number in range(setting.rounds):
            where = wheres[number % len(wheres)]
            moment_s = chance.uniform(0, spans_s[where.name])
            again += _round(account, place, f"round{number}", where, moment_s, reference)
            setting.tell(f"driver {number + 1}/{setting.rounds}, {where.name}: {account.summary}")
    account.remarks.append(f"{again} samples that were not yet committed were drawn again")
    return account.row()


@contextmanager
def _places(folder: Path, rounds: int) -> Iterator[Sequence[Where]]:
    """Where the rounds take place, in turn; the fourth place is a cluster that is started here."""
    if rounds < 4:
        yield [LOCAL, on_ray()]
    else:
        with standing_cluster(folder, num_nodes=1, cpus=6) as standing:
            yield [LOCAL, on_ray(), LOCAL, standing.where()]


def _unbroken(account: Account, place: Workplace, where: Where) -> float:
    """The seconds of an unbroken run there, from its first request to its end."""
    ended, span_s = place.timed(f"whole-{where.name}", where)
    account.require(ended.status == 0, f"unbroken run, {where.name}: {ended.last_words}")
    return span_s


def _round(
    account: Account, place: Workplace, run: str, where: Where, moment_s: float, reference: str
) -> int:
    """Kill once and go on to the end; returns how many samples were drawn more than once."""
    with place.started(run, where) as process:
        account.kills += place.kill_after(moment_s, run, process)
        snapshot = witness(place.path(run), place.journal(run))
        _finish(account, place, run, where)
    account.rounds += 1
    conclude(account, place, run, reference, [snapshot])
    drawn = drawn_ids(place.journal(run))
    return len(drawn) - len(set(drawn))


def _finish(account: Account, place: Workplace, run: str, where: Where) -> None:
    """Run the same command again; processes of the killed driver may still be alive."""
    for _ in range(ATTEMPTS):
        ended = place.run(run, where)
        if ended.status == 0:
            return
        account.complaints.append(f"{run}, {where.name}: {ended.status}, {ended.last_words}")
