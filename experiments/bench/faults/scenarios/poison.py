"""One query kills every process that works on it: after a few deaths it alone is given up."""

from __future__ import annotations

from nbest.experiments.bench.faults.account import Account, FaultRow, Setting
from nbest.experiments.bench.faults.checks import drawn_ids, engine_processes, same_results
from nbest.experiments.bench.faults.processes import Ended
from nbest.experiments.bench.faults.workplace import Load, Workplace, on_ray
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Outcome

POISON = "the poison"
HARMS = {"sigkill": 1, "exit": 2}  # a kind of death: the number of engines
TRIALS = 2  # deaths with the query alone, after those with other queries beside it
MAX_WORKERS_KILLED = 3
SMALL = Load(queries=60, n=4, token_s=0.05, special={"poison": POISON})


def poisoned_engine(setting: Setting, load: Load = SMALL) -> FaultRow:
    """Kill the engine by the query's prompt, once by a signal and once by an exit."""
    account = Account(scenario="poison")
    for harm, engines in HARMS.items():
        place = Workplace(setting.folder / harm, load)
        run_without_poison(account, place, engines=engines)
        ended = place.run("run", on_ray(engines), f"model.harm_on={POISON}", f"model.harm={harm}")
        require_quarantine(account, place, harm, ended)
        restarts = engine_processes(place.journal("run")) - engines
        account.kills += restarts
        account.require(restarts <= engines + TRIALS, f"{harm}: {restarts} engines started again")
    return account.row()


def poisoned_worker(setting: Setting, load: Load = SMALL) -> FaultRow:
    """Kill the worker by the query's scorer."""
    account = Account(scenario="poison_worker")
    place = Workplace(setting.folder, load)
    deaths = place.folder / "deaths"
    select = f"select=[\"kills_worker(query_id='poison', journal='{deaths}')\"]"
    run_without_poison(account, place, select)
    ended = place.run("run", on_ray(), select)
    require_quarantine(account, place, "worker", ended)
    account.kills += len(drawn_ids(deaths))
    account.require(account.kills <= MAX_WORKERS_KILLED, f"{account.kills} workers were killed")
    return account.row()


def run_without_poison(
    account: Account, place: Workplace, *settings: str, engines: int = 2
) -> None:
    """Make the same run without the poison, which is the last query."""
    limit = ("--limit", str(place.load.queries))
    ended = place.run("calm", on_ray(engines), *settings, options=limit)
    account.require(ended.status == 0, f"calm run: {ended.last_words}")


def require_quarantine(account: Account, place: Workplace, what: str, ended: Ended) -> None:
    """Require that the poison is quarantined, and all other queries end as without it."""
    account.rounds += 1
    account.require(ended.status == 3, f"{what}: exit status {ended.status}, {ended.last_words}")
    outcomes = {r.query_id: r.outcome for r in RunReader(place.path("run")).records()}
    poison = outcomes.pop("poison", None)
    account.require(poison is Outcome.QUARANTINED, f"{what}: the poison ended as {poison}")
    answered = sum(outcome is Outcome.ANSWERED for outcome in outcomes.values())
    account.lost += place.load.n * (place.load.queries - answered)
    apart = {"poison"}
    calm = same_results(place.path("calm"), apart)
    account.unequal += same_results(place.path("run"), apart) != calm
