"""Faults that kill no process: rows that cannot be asked or scored, and engines that are full."""

from __future__ import annotations

from collections.abc import Sequence

from nbest.experiments.bench.faults.account import Account, FaultRow, Setting
from nbest.experiments.bench.faults.checks import same_results, stored_samples
from nbest.experiments.bench.faults.workplace import BOTH, LOCAL, Load, Where, Workplace
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Outcome

REASONS = {  # query id: what its error must say
    "too_long": "more tokens than the model takes",
    "bad_schema": "not a schema",
    "no_text": "must hold",
    "verifier": "the verifier broke",
}
BAD = {"too_long": "too long", "bad_schema": "bad schema", "no_text": " ", "verifier": "fine"}
FAULTY = (
    "model.reject_on=too long",
    f"model.reject_reason={REASONS['too_long']}",
    "model.fail_on=bad schema",
    f"model.fail_reason={REASONS['bad_schema']}",
    "select=[\"raises(query_id='verifier')\"]",
)


def bad_rows(
    setting: Setting, load: Load | None = None, wheres: Sequence[Where] = BOTH
) -> FaultRow:
    """One bad row a stage among a thousand: typed error rows, exit status 3, all others good."""
    account = Account(scenario="bad_rows")
    place = Workplace(setting.folder, load or Load(queries=996, n=4, token_s=0.0, special=BAD))
    for where in wheres:
        _bad_rows(account, place, where)
    return account.row()


def _bad_rows(account: Account, place: Workplace, where: Where) -> None:
    account.rounds += 1
    ended = place.run(where.name, where, *FAULTY)
    end = f"{where.name}: exit status {ended.status}, {ended.last_words}"
    account.require(ended.status == 3, end)
    records = RunReader(place.path(where.name)).records()
    errors = {r.query_id: r.error for r in records if r.outcome is Outcome.ERROR}
    for query_id, reason in REASONS.items():
        error = errors.pop(query_id, "no error")
        account.require(reason in error, f"{where.name}: {query_id} ended with {error!r}")
    good = sum(record.outcome is Outcome.ANSWERED for record in records)
    account.require(not errors, f"{where.name}: also errors at {sorted(errors)[:3]}")
    account.lost += place.load.n * (place.load.queries - good)
    tolerated = place.run(where.name, where, *FAULTY, options=("--fail-on-error", "5"))
    account.require(tolerated.status == 0, f"{where.name}: 4 errors with --fail-on-error 5")


def overload(
    setting: Setting, load: Load | None = None, wheres: Sequence[Where] = BOTH
) -> FaultRow:
    """A full engine refuses each request three times, and each is sent again later."""
    account = Account(scenario="overload", rounds=len(wheres))
    place = Workplace(setting.folder, load or Load(queries=40, n=4))
    ended = place.run("calm", LOCAL)
    account.require(ended.status == 0, f"calm run: {ended.last_words}")
    calm = same_results(place.path("calm"))
    for where in wheres:
        ended = place.run(where.name, where, "model.overloads=3")
        account.require(ended.status == 0, f"{where.name}: {ended.status}, {ended.last_words}")
        account.lost += place.load.samples - len(stored_samples(place.path(where.name)))
        account.unequal += same_results(place.path(where.name)) != calm
    return account.row()
