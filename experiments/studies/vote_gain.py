"""Study: where a vote gains, and whether weaker models gain more, on pools of samples.

    python -m nbest.experiments.studies.vote_gain POOL.jsonl... [--k 32] [--grade number]

A question looks hard by luck as often as it is: sorted by the very samples that the gain is
measured on, hard questions would seem to gain. So the samples of each question are dealt into two
halves. One says how accurate a single sample is there, the other what a vote among k of them gains.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from nbest.experiments.analysis.curves.exact import graded_cases, one_curves, values_of, vote_curves
from nbest.experiments.cli.ending import run_command
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.orchestrator.query.selection import candidates_at
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.paired import paired_difference

EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # of the accuracy of one sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What a vote among k gains over one sample, over some questions."""

    of: str  # a pool, or a range of the accuracy of one sample
    questions: int
    one: float
    vote: float
    gain: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The questions [Q] of one pool."""

    accuracy: Scores  # of one sample, by the first half of the samples
    one: Scores  # the same, by the second half
    vote: Scores  # of a vote among k of the second half
    ids: tuple[str, ...]


def measured(cases: Sequence[Case], k: int) -> Measured:
    """Deal the samples of each question into two halves, and measure on both."""
    first = [_half(case, 0) for case in cases]
    second = [_half(case, 1) for case in cases]
    fewest = min(len(case.candidates) for case in second)
    require(1 <= k <= fewest, "k", f"lie in 1..{fewest}, half of the smallest pool", k)
    return Measured(
        accuracy=np.array([values_of(case).mean() for case in first]),
        one=one_curves(second, 1)[:, 0],
        vote=vote_curves(second, k)[:, -1],
        ids=tuple(case.query.id for case in cases),
    )


def _half(case: Case, start: int) -> Case:
    """Every other sample of a question."""
    places = range(start, len(case.candidates), 2)
    return replace(case, candidates=candidates_at(case.candidates, list(places)))


def by_pool(pools: Mapping[str, Measured]) -> list[Gain]:
    """The gain on each pool, the weakest model first."""
    gains = [_gain(name, [pool], np.full(len(pool.one), True)) for name, pool in pools.items()]
    return sorted(gains, key=lambda gain: gain.one)


def by_accuracy(pools: Mapping[str, Measured]) -> list[Gain]:
    """The gain over the questions of all pools, by how often one sample is right there."""
    every = list(pools.values())
    accuracy = np.concatenate([pool.accuracy for pool in every])
    gains = []
    for low, high in pairwise(EDGES):
        is_in = (accuracy >= low) & ((accuracy < high) | (high == EDGES[-1]))
        if is_in.any():
            gains.append(_gain(f"{low:.1f} to {high:.1f}", every, is_in))
    return gains


def _gain(of: str, pools: Sequence[Measured], is_in: np.ndarray) -> Gain:
    """The gain over some of the questions; one that several models were asked is one unit."""
    one = np.concatenate([pool.one for pool in pools])[is_in]
    vote = np.concatenate([pool.vote for pool in pools])[is_in]
    ids = [i for i, chosen in zip(_ids(pools), is_in, strict=True) if chosen]
    clusters = ids if len(set(ids)) < len(ids) else None
    difference = paired_difference(vote, one, clusters=clusters)
    return Gain(
        of=of,
        questions=len(one),
        one=float(one.mean()),
        vote=float(vote.mean()),
        gain=difference.mean,
        low=difference.low,
        high=difference.high,
    )


def _ids(pools: Sequence[Measured]) -> list[str]:
    return [query_id for pool in pools for query_id in pool.ids]


def study(files: Sequence[Path], k: int, grade: str) -> dict[str, Measured]:
    """Measure each pool."""
    pools = {}
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            run = Path(folder) / file.stem
            import_pool([file], run, grade=grade)
            pools[file.stem] = measured(graded_cases(load_cases(run)), k)
    return pools


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study and print both tables."""
    as_it_is = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_it_is)
    parser.add_argument("pools", nargs="+", type=Path, metavar="POOL.jsonl")
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--grade", default="number")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    pools = study(options.pools, options.k, options.grade)
    tables = {"pools": by_pool(pools), "accuracy": by_accuracy(pools)}
    if options.json:
        document = {name: [asdict(gain) for gain in gains] for name, gains in tables.items()}
        print(json.dumps(document, indent=2))
        return
    for head, gains in zip(("pool", "one sample is right"), tables.values(), strict=True):
        print(f"{head:32} questions    one  vote of {options.k}   gain (95%)")
        for gain in gains:
            print(
                f"{gain.of:32} {gain.questions:9} {gain.one:6.3f} {gain.vote:10.3f}  "
                f"{gain.gain:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
            )


if __name__ == "__main__":
    run_command(main)
