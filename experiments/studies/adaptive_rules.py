"""Study: which rule saves most tokens, and what that costs in accuracy, on pools of samples.

    python -m nbest.experiments.studies.adaptive_rules POOL.jsonl... [--max-n 64] [--shuffles 1000]

Every rule sees the same random orders of the same samples. To show what choosing a rule on these
very pools is worth, the best one on each half of them is applied to the other half. A budget for
the whole batch is given as many samples as a rule has drawn there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

from nbest.experiments.analysis.curves.exact import graded_cases
from nbest.experiments.analysis.replay.figures import Replay
from nbest.experiments.analysis.replay.replay import replay_cases
from nbest.experiments.analysis.replay.strategy import build_strategy
from nbest.experiments.cli.ending import run_command
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.exchange.import_pool import import_pool

RULES = (
    *(f"margin(c={c})" for c in (1.4, 1.6, 1.83, 2.0)),
    *(f"vote_stands(risk={risk})" for risk in (0.02, 0.05, 0.1, 0.15, 0.2)),
    *(f"vote_stands(risk={risk}, prior=0.5)" for risk in (0.05, 0.1)),
    *(f"beta(confidence={c})" for c in (0.8, 0.9, 0.95, 0.99)),
    *(f"unanimous_window(size={size})" for size in (3, 5, 8)),
    *(f"e_value(alpha={alpha})" for alpha in (0.05, 0.2)),
)
MATCHED = ("vote_stands(risk=0.05)", "vote_stands(risk=0.1)", "vote_stands(risk=0.2)")
BUDGET = "budget, as many as "
FIRST_N = 3  # of a budget: it cannot spend less
TOLERANCE = 0.002  # of accuracy that a rule may cost to be chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """One rule over several pools together."""

    rule: str
    lost: float  # accuracy of the fixed number less that of the rule, mean over the pools
    saving: float  # share of the tokens of the fixed number, all pools together
    samples: float  # a question


def study(
    files: Sequence[Path], max_n: int, shuffles: int, grade: str
) -> dict[str, dict[str, Replay]]:
    """Replay every rule on every pool; the results by rule and pool."""
    by_rule: dict[str, dict[str, Replay]] = {rule: {} for rule in RULES}
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            run = Path(folder) / file.stem
            import_pool([file], run, grade=grade)
            cases = graded_cases(load_cases(run))
            for rule in RULES:
                strategy = build_strategy(f"adaptive(rule={rule}, ahead=1)")  # rules alone
                by_rule[rule][file.stem] = replay_cases(cases, strategy, max_n, shuffles)
            for rule in MATCHED:
                average = max(FIRST_N, by_rule[rule][file.stem].samples)
                strategy = build_strategy(f"budget(average={average}, first_n={FIRST_N})")
                replayed = replay_cases(cases, strategy, max_n, shuffles)
                by_rule.setdefault(BUDGET + rule, {})[file.stem] = replayed
    return by_rule


def front(by_rule: Mapping[str, Mapping[str, Replay]], pools: Sequence[str]) -> list[Front]:
    """Average every rule over these pools; the one that saves most comes first."""
    rows = []
    for rule, by_pool in by_rule.items():
        replays = [by_pool[pool] for pool in pools]
        fixed = sum(r.tokens_fixed for r in replays)
        rows.append(
            Front(
                rule=rule,
                lost=sum(r.accuracy_fixed - r.accuracy for r in replays) / len(replays),
                saving=1 - sum(r.tokens for r in replays) / fixed if fixed else 0.0,
                samples=sum(r.samples for r in replays) / len(replays),
            )
        )
    return sorted(rows, key=lambda row: -row.saving)


def chosen(rows: Sequence[Front]) -> Front:
    """The rule that saves most among those that cost no more than the tolerance."""
    rules = [row for row in rows if not row.rule.startswith(BUDGET)]
    allowed = [row for row in rules if row.lost <= TOLERANCE]
    return allowed[0] if allowed else min(rules, key=lambda row: row.lost)


def elsewhere(by_rule: Mapping[str, Mapping[str, Replay]], pools: Sequence[str]) -> list[str]:
    """Say, for each half of the pools, which rule it chooses and what that does on the rest."""
    lines = []
    for half in combinations(pools, len(pools) // 2):
        rest = [pool for pool in pools if pool not in half]
        best = chosen(front(by_rule, half)).rule
        there = next(row for row in front(by_rule, rest) if row.rule == best)
        lines.append(
            f"chosen on {', '.join(half)}: {best}; elsewhere {0.0 - 100 * there.lost:+.2f} points, "
            f"{100 * there.saving:.1f}% saved"
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study and print the front."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_AsItIs)
    parser.add_argument("pools", nargs="+", type=Path, metavar="POOL.jsonl")
    parser.add_argument("--max-n", type=int, default=64)
    parser.add_argument("--shuffles", type=int, default=1000)
    parser.add_argument("--grade", default="number")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    by_rule = study(options.pools, options.max_n, options.shuffles, options.grade)
    pools = [file.stem for file in options.pools]
    rows = front(by_rule, pools)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print(f"{'rule':41} points   saved  samples")
    for row in rows:
        print(
            f"{row.rule:41} {-100 * row.lost:+6.2f}  {100 * row.saving:5.1f}%  {row.samples:7.1f}"
        )
    if len(pools) > 1:
        print("\n".join(elsewhere(by_rule, pools)))


_AsItIs = argparse.RawDescriptionHelpFormatter

if __name__ == "__main__":
    run_command(main)
