"""What may change between two starts of a run, and what may not."""

from __future__ import annotations

from nbest.experiments.bench.faults.account import Account, FaultRow, Setting
from nbest.experiments.bench.faults.checks import (
    conclude,
    drawn_ids,
    same_results,
    stored_samples,
    witness,
)
from nbest.experiments.bench.faults.workplace import LOCAL, Load, Where, Workplace, on_ray

GROWN = 2  # times as many samples


def changed(setting: Setting, load: Load | None = None, elsewhere: Where | None = None) -> FaultRow:
    """A changed config is refused with the difference; a larger N reuses all stored samples."""
    account = Account(scenario="changed", rounds=1)
    place = Workplace(setting.folder, load or Load(token_s=0.0))
    ended = place.run("run", LOCAL)
    account.require(ended.status == 0, f"first run: {ended.last_words}")
    before = same_results(place.path("run"))
    refused = place.run("run", LOCAL, "sampling.temperature=0.5")
    account.require(refused.status == 2, f"a changed config: exit status {refused.status}")
    is_shown = "sampling.temperature: 1.0 in the run, 0.5 now" in refused.stderr
    account.require(is_shown, f"a changed config: {refused.last_words}")
    account.unequal += same_results(place.path("run")) != before
    _grow(account, place, elsewhere or on_ray(engines=3))
    return account.row()


def _grow(account: Account, place: Workplace, elsewhere: Where) -> None:
    snapshot = witness(place.path("run"), place.journal("run"))
    n = place.load.n * GROWN
    for run in ("run", "afresh"):  # one that grows on other engines, and one that is new
        where = elsewhere if run == "run" else LOCAL
        ended = place.run(run, where, f"strategy.n={n}")
        account.require(ended.status == 0, f"grown, {run}: {ended.last_words}")
    after = stored_samples(place.path("run"))
    account.lost += snapshot.lost(after) + max(0, place.load.samples * GROWN - len(after))
    account.regenerated += snapshot.regenerated(place.journal("run"))
    # The records of the smaller N stand beside those of the larger one.
    small = place.run("afresh", LOCAL)
    account.require(small.status == 0, f"N as it was: {small.last_words}")
    account.unequal += same_results(place.path("run")) != same_results(place.path("afresh"))
    num_drawn = len(drawn_ids(place.journal("afresh")))
    account.require(num_drawn == place.load.samples * GROWN, f"{num_drawn} drawn for a smaller N")


def shards(setting: Setting, load: Load | None = None) -> FaultRow:
    """Runs on 1, 2 and 4 workers and 1 and 3 engines have the same results."""
    account = Account(scenario="shards")
    place = Workplace(setting.folder, load or Load(queries=100))
    ended = place.run("whole", LOCAL)
    account.require(ended.status == 0, f"unbroken run: {ended.last_words}")
    reference = same_results(place.path("whole"))
    for workers in (1, 2, 4):
        for engines in (1, 3):
            run = f"workers{workers}-engines{engines}"
            ended = place.run(run, on_ray(engines, workers))
            account.rounds += 1
            account.require(ended.status == 0, f"{run}: {ended.status}, {ended.last_words}")
            conclude(account, place, run, reference, [])
            setting.tell(f"shards {account.rounds}/6, {run}: {account.summary}")
    return account.row()
