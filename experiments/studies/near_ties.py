"""Study: how often a rule stops on the wrong one of two answers that are nearly equally likely.

    python -m nbest.experiments.studies.near_ties [--share 0.501] [--limit 400] [--rules R,R]

Exact: the chances of all pairs of counts are carried along from draw to draw, and what stops is
taken out. It holds for rules that look at counts, however often they look.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from nbest.experiments.cli.ending import run_command
from nbest.experiments.config.plugins import build_stop_rule
from nbest.experiments.language.expressions import split_expressions
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.requirements import require
from nbest.orchestrator.strategies.stop_on_votes import BetaStop, EValueStop, StopRule, VoteStands

RULES = "beta(confidence=0.9),beta(confidence=0.95),e_value(alpha=0.05),vote_stands(risk=0.1)"


@dataclass(frozen=True, slots=True, kw_only=True)
class NearTie:
    """How the drawing for a question with two answers ends."""

    wrong: float  # chance to stop before the limit with the less likely answer ahead
    right: float  # and with the likelier one ahead
    samples: float  # drawn, in the mean


def near_tie(rule: StopRule, share: float, limit: int) -> NearTie:
    """Follow a rule to its end, by dynamic programming over the counts.

    `share` is the chance of the likelier answer.
    """
    require(0.5 <= share < 1, "share", "lie in [0.5, 1)", share)
    require(limit >= 1, "limit", "be at least 1", limit)
    alive = {(0, 0): 1.0}
    wrong = right = samples = 0.0
    for drawn in range(1, limit):
        alive, stopped = _split(rule, _one_more(alive, share), limit)
        wrong += sum(chance for (a, b), chance in stopped.items() if b > a)
        right += sum(chance for (a, b), chance in stopped.items() if a >= b)
        samples += drawn * sum(stopped.values())
    return NearTie(wrong=wrong, right=right, samples=samples + limit * sum(alive.values()))


def counting(name: str) -> StopRule:
    """Build the rule of a name; InputError where it reads more than the answers' counts."""
    rule = build_stop_rule(name)
    if not isinstance(rule, BetaStop | EValueStop | VoteStands):
        raise InputError(
            f"rules must look at counts alone (beta, e_value, vote_stands), got {name}"
        )
    return rule


Counts = dict[tuple[int, int], float]
"""The chance of each pair of counts: samples with the one answer, and with the other"""


def _one_more(alive: Counts, share: float) -> Counts:
    after: Counts = {}
    for (a, b), chance in alive.items():
        after[a + 1, b] = after.get((a + 1, b), 0.0) + chance * share
        after[a, b + 1] = after.get((a, b + 1), 0.0) + chance * (1 - share)
    return after


def _split(rule: StopRule, reached: Counts, limit: int) -> tuple[Counts, Counts]:
    """Split the counts that are reached into those that go on and those that stop."""
    stops = {(a, b): rule(["a"] * a + ["b"] * b, limit) for a, b in reached}
    alive = {counts: chance for counts, chance in reached.items() if not stops[counts]}
    return alive, {counts: chance for counts, chance in reached.items() if stops[counts]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_AsItIs)
    parser.add_argument("--share", type=float, default=0.501, help="of the likelier answer")
    parser.add_argument("--limit", type=int, default=400, help="samples at most")
    parser.add_argument("--rules", default=RULES, help="with commas between")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    names = split_expressions(options.rules)
    ties = {name: near_tie(counting(name), options.share, options.limit) for name in names}
    if options.json:
        print(json.dumps([{"rule": name} | asdict(tie) for name, tie in ties.items()], indent=2))
        return
    print(f"{'rule':25} stops: wrong   right  samples")
    for name, tie in ties.items():
        print(f"{name:25} {tie.wrong:12.1%}  {tie.right:6.1%}  {tie.samples:7.1f}")


_AsItIs = argparse.RawDescriptionHelpFormatter

if __name__ == "__main__":
    run_command(main)
