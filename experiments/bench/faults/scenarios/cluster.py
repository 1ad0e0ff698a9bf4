"""Engines, workers and whole nodes of a cluster of three are killed at random while runs go on."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from nbest.experiments.bench.faults.account import Account, FaultRow, Setting
from nbest.experiments.bench.faults.checks import Witness, conclude, same_results, witness
from nbest.experiments.bench.faults.processes import Process, wait_until
from nbest.experiments.bench.faults.standing import ENGINE, WORKER, Standing, standing_cluster
from nbest.experiments.bench.faults.workplace import LOCAL, Load, Workplace

NODES = 3
KILLS = 2  # a round


class Victim(StrEnum):
    """What is killed."""

    ENGINE = "engine"
    WORKER = "worker"
    NODE = "node"


def cluster(setting: Setting, load: Load | None = None) -> FaultRow:
    """Kill twice in every round, a run with three engines and two workers."""
    account = Account(scenario="cluster")
    place = Workplace(setting.folder, load or Load(token_s=0.08))
    ended = place.run("whole", LOCAL)
    account.require(ended.status == 0, f"unbroken run: {ended.last_words}")
    reference = same_results(place.path("whole"))
    chance = random.Random(setting.seed)
    with standing_cluster(setting.folder, num_nodes=NODES, cpus=4) as standing:
        for number in range(setting.rounds):
            kinds = [list(Victim)[number % 3], *chance.choices(list(Victim), k=KILLS - 1)]
            scene = _Scene(account=account, place=place, standing=standing, chance=chance)
            scene.play(f"round{number}", kinds, reference)
            names = ", ".join(kinds)
            setting.tell(f"cluster {number + 1}/{setting.rounds}, {names}: {account.summary}")
    return account.row()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """One round, and what it needs."""

    account: Account
    place: Workplace
    standing: Standing
    chance: random.Random

    def play(self, run: str, victims: Sequence[Victim], reference: str) -> None:
        where = self.standing.where(engines=3, workers=2)
        snapshots: list[Witness] = []
        with self.place.started(run, where) as process:
            wait_until(lambda: self.place.has_drawn(run), process)
            for victim in victims:
                time.sleep(self.chance.uniform(0, self._pause_s()))
                if process.is_running:
                    snapshots.append(witness(self.place.path(run), self.place.journal(run)))
                    self._kill(victim, process)
            ended = process.wait()
        self.account.rounds += 1
        kinds = ", ".join(victims)
        self.account.require(
            ended.status == 0, f"{run}, {kinds}: {ended.status}, {ended.last_words}"
        )
        conclude(self.account, self.place, run, reference, snapshots)
        wait_until(lambda: not self.standing.pids(ENGINE), self.standing.process, limit_s=20)

    def _pause_s(self) -> float:
        """The longest pause at which both kills still come before the engines can be done."""
        load = self.place.load
        return load.span_s / 3 / KILLS

    def _kill(self, victim: Victim, process: Process) -> None:
        if victim is Victim.NODE:
            self.standing.lose_node(self.chance.randrange(NODES))
            self.account.kills += 1
            return
        title = ENGINE if victim is Victim.ENGINE else WORKER
        wait_until(lambda: bool(self.standing.pids(title)), process, limit_s=20)
        pids = self.standing.pids(title)
        if pids:
            os.kill(self.chance.choice(pids), signal.SIGKILL)
            self.account.kills += 1
