"""`nbest bench race`: the first valid of n samples, in virtual time on a fake engine.

It measures how soon after the first valid sample the answer is there, how much of the losers'
remaining cost is saved, and how much sooner the answer comes with more samples at once.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from nbest.model_backend.fake.clocks import VirtualTime
from nbest.model_backend.fake.engine import FakeBackend
from nbest.model_backend.fake.script import Reply
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.requirements import require
from nbest.orchestrator.run.job import Work
from nbest.orchestrator.run.local import open_loop
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.race import RaceToValid
from nbest.orchestrator.types import Query, Request
from nbest.scorers.validators.rules import Matches

TOKEN_S = 0.01
SIGMA = 0.6  # of the logarithm of the lengths: the longest of 32 takes some ten times the shortest
MEDIAN_TOKENS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Sample i has `tokens[i]` tokens and keeps the rule where `valid[i]`."""

    tokens: NDArray[np.int64]
    valid: NDArray[np.bool_]

    def __call__(self, request: Request) -> Reply:
        index = index_of(request.id)
        word = "ok" if self.valid[index] else "no"
        return Reply(tokens=("",) * (int(self.tokens[index]) - 1) + (word,), token_s=TOKEN_S)

    @property
    def first_valid(self) -> int:
        """Tokens of the first valid one to end, if all begin at once; else of the last to end."""
        return int(self.tokens[self.valid].min() if self.valid.any() else self.tokens.max())


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """How one race went."""

    is_answered: bool
    seconds: float
    late: float  # after the first valid sample, as a share of its time
    tokens: int  # generated, losers included
    saved: float  # of what the losers would still have cost: nan where there was nothing to save


@dataclass(frozen=True, slots=True, kw_only=True)
class Races:
    """Many races of n samples."""

    n: int
    answered: float  # share
    median_s: float
    p95_s: float
    tokens: float  # mean
    latest: float  # the worst `late`
    least_saved: float  # the worst `saved`; nan where every race went to its end

    def as_json(self) -> dict[str, float | None]:
        """What `--json` prints; nan becomes null, for JSON has none."""
        return {key: None if math.isnan(value) else value for key, value in asdict(self).items()}


def measure_races(ns: Sequence[int], share: float, races: int, seed: int = 0) -> list[Races]:
    """Run `races` races of each n; a share of the samples is valid."""
    require(0 < share <= 1, "valid", "lie in (0, 1]", share)
    require(races >= 1, "races", "be at least 1", races)
    return [
        _summary(n, [run_race(draw_lengths(n, share, seed + r)) for r in range(races)]) for n in ns
    ]


def draw_lengths(n: int, share: float, seed: int) -> Lengths:
    """Draw lengths with a long tail; whether a sample is valid does not depend on its length."""
    rng = np.random.default_rng([seed, n])
    tokens = np.exp(rng.normal(np.log(MEDIAN_TOKENS), SIGMA, n)).round().astype(np.int64)
    return Lengths(tokens=np.maximum(tokens, 1), valid=rng.random(n) < share)


def run_race(lengths: Lengths) -> Race:
    """Run one race, through the loop that a run uses."""
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        seconds, is_answered, tokens = runner.run(_answered(lengths))
    first = lengths.first_valid
    remaining = int(np.maximum(lengths.tokens - first, 0).sum())
    return Race(
        is_answered=is_answered,
        seconds=seconds,
        late=seconds / (first * TOKEN_S) - 1,
        tokens=tokens,
        saved=(int(lengths.tokens.sum()) - tokens) / remaining if remaining else float("nan"),
    )


async def _answered(lengths: Lengths) -> tuple[float, bool, int]:
    """The seconds until the answer, whether there is one, and the tokens."""
    params = SamplingParams(max_tokens=int(lengths.tokens.max()))
    strategy = RaceToValid(n=len(lengths.tokens), rule=Matches(pattern="ok"), params=params)
    work = Work(run="race", seed=1, strategy=strategy, directory=None)
    backend = FakeBackend(script=lengths, max_concurrency=len(lengths.tokens))
    async with open_loop(work, backend) as here:
        clock = asyncio.get_running_loop().time
        began_s = clock()
        answer = await here.loop.answer(Query(id="q", prompt="?"))
        ended_s = clock()
    assert answer.selection is not None, answer.record.error
    is_answered = answer.selection.answer is not None
    return ended_s - began_s, is_answered, answer.record.usage.generated_tokens


def _summary(n: int, races: list[Race]) -> Races:
    seconds = [race.seconds for race in races]
    saved = [race.saved for race in races if not np.isnan(race.saved)]
    return Races(
        n=n,
        answered=float(np.mean([race.is_answered for race in races])),
        median_s=float(np.median(seconds)),
        p95_s=float(np.quantile(seconds, 0.95)),
        tokens=float(np.mean([race.tokens for race in races])),
        latest=max(race.late for race in races),
        least_saved=min(saved, default=float("nan")),
    )


def races_table(rows: list[Races]) -> Table:
    """The figures of `--json` as a table for the terminal."""
    table = Table(box=None, pad_edge=False)
    names = ("n", "answered", "median s", "95% s", "tokens", "latest", "least saved")
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        saved = "-" if math.isnan(row.least_saved) else f"{row.least_saved:.1%}"
        table.add_row(
            str(row.n),
            f"{row.answered:.1%}",
            f"{row.median_s:.2f}",
            f"{row.p95_s:.2f}",
            f"{row.tokens:,.0f}",
            f"{row.latest:+.2%}",
            saved,
        )
    return table
