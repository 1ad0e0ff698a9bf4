"""Runs whose answers decide how much is drawn: the driver is killed, and they go on.

A stop rule may have drawn a sample more or less ahead of its decision, so only the answers must be
those of an unbroken run. A budget waits for all samples that it has given out: its samples must be
the same, too, and no more than it may spend.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from nbest.experiments.bench.faults.account import Account, FaultRow, Setting
from nbest.experiments.bench.faults.checks import (
    repeated_keys,
    same_answers,
    same_results,
    stored_samples,
    witness,
)
from nbest.experiments.bench.faults.workplace import LOCAL, Load, Where, Workplace, on_ray

AVERAGE = 6  # samples a question that the budget gives
RULE = "strategy={n: 16, rule: vote_stands}"
BUDGET = f"strategy={{n: 16, budget: {{average: {AVERAGE}}}}}"
PLACES = (LOCAL, on_ray(workers=1))  # of a budget there is one worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbroken:
    """The results of a run that nothing disturbs."""

    span_s: float  # from its first request to its end
    answers: str
    results: str


def strategies(
    setting: Setting, load: Load | None = None, wheres: tuple[Where, ...] = PLACES
) -> FaultRow:
    """Kill runs with a rule and with a budget, in turn in one process and on Ray."""
    account = Account(scenario="strategies")
    place = Workplace(setting.folder, load or Load(queries=60, token_s=0.03))
    chance = random.Random(setting.seed)
    for strategy in (RULE, BUDGET):
        for where in wheres:
            whole = _unbroken(account, place, where, strategy)
            for number in range(max(1, setting.rounds // len(wheres))):
                run = f"round{number}-{_label(where, strategy)}"
                moment_s = chance.uniform(0, whole.span_s)
                _round(account, place, run, where, strategy, moment_s, whole)
            setting.tell(f"strategies, {strategy}, {where.name}: {account.summary}")
    return account.row()


def _label(where: Where, strategy: str) -> str:
    return f"{'rule' if strategy is RULE else 'budget'}-{where.name}"


def _unbroken(account: Account, place: Workplace, where: Where, strategy: str) -> Unbroken:
    run = f"whole-{_label(where, strategy)}"
    ended, span_s = place.timed(run, where, strategy)
    account.require(ended.status == 0, f"unbroken run, {run}: {ended.last_words}")
    path = place.path(run)
    return Unbroken(span_s=span_s, answers=same_answers(path), results=same_results(path))


def _round(
    account: Account,
    place: Workplace,
    run: str,
    where: Where,
    strategy: str,
    moment_s: float,
    whole: Unbroken,
) -> None:
    with place.started(run, where, strategy) as process:
        account.kills += place.kill_after(moment_s, run, process)
    snapshot = witness(place.path(run), place.journal(run))
    ended = place.run(run, where, strategy)
    account.rounds += 1
    account.require(ended.status == 0, f"{run}, resumed: {ended.status}, {ended.last_words}")
    path = place.path(run)
    after = stored_samples(path)
    account.lost += snapshot.lost(after)
    account.regenerated += snapshot.regenerated(place.journal(run))
    account.duplicated += repeated_keys(path)
    account.unequal += same_answers(path) != whole.answers
    if strategy is BUDGET:
        account.unequal += same_results(path) != whole.results
        most = AVERAGE * place.load.queries
        account.require(len(after) <= most, f"{run}: {len(after)} samples of a budget of {most}")
