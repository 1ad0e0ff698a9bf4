"""`nbest replay`: what an adaptive strategy would have drawn, on samples that are stored.

The samples of each question are put into many random orders, and the same rule as in a live run
says after each sample whether it has seen enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from nbest.experiments.analysis.curves.exact import ended, graded_cases
from nbest.experiments.analysis.replay.drawn import Drawn, pointwise_scores
from nbest.experiments.analysis.replay.strategy import ReplayedStrategy, build_strategy
from nbest.experiments.analysis.stored_logprobs import require_logprobs
from nbest.experiments.runs.cases import Case, cases_of, reading_of
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Scores, require
from nbest.scorers.estimators.intervals import Interval, clustered_interval

TELL_EVERY = 10  # orders
SHUFFLES = 1000  # with 100 the error is as large as what rules differ by


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Means over the shuffles, then over the questions; nan for what nobody knows."""

    accuracy: float  # nan where there is no gold answer
    low: float  # 95%, clustered by question
    high: float
    samples: float  # a question
    tokens: float  # a question
    tokens_fixed: float  # a question, for max_n samples
    saving: float  # share of tokens saved against drawing max_n for every question
    accuracy_fixed: float  # of the same choice from max_n in the same orders
    answered: float  # share of questions; of the others it abstains
    agreement: float  # share of questions with the answer of that choice from max_n
    seconds: float = math.nan  # a question, where the strategy decides by who ends first
    seconds_fixed: float = math.nan  # until the last of max_n has ended

    def as_json(self) -> dict[str, float | None]:
        """What `--json` prints; nan becomes null, for JSON has none."""
        return {k: None if math.isnan(v) else v for k, v in asdict(self).items()}


class OrderFigures(NamedTuple):
    """What is measured of a question in one order of its samples."""

    right: float
    answered: float
    agrees: float
    samples: float
    tokens: float
    seconds: float
    right_fixed: float
    tokens_fixed: float
    seconds_fixed: float


def replay(
    run: StrPath,
    strategy: str = "adaptive",
    max_n: int = 64,
    shuffles: int = SHUFFLES,
    seed: int = 0,
    extract: str | None = None,
    grade: str | None = None,
    tell: Callable[[str], None] = lambda line: None,
    equivalence: str | None = None,
) -> Replay:
    """Replay a strategy on the questions of a run, which have `max_n` samples or more.

    Questions without a gold answer are left out; where none has one, all are replayed and the
    accuracy is nan.
    """
    require(shuffles >= 1, "shuffles", "be at least 1", shuffles)
    built = build_strategy(strategy)
    reader = RunReader(run)
    _require_whole_samples(reader)
    loaded = cases_of(reader, reading_of(reader, extract, grade, equivalence), [built.select])
    cases = graded_cases(loaded) or [ended(case) for case in loaded]
    require_logprobs(strategy, built.select, cases)
    fewest = min(len(case.candidates) for case in cases)
    rule = f"lie in 1..{fewest}, the samples of the question that has fewest"
    require(1 <= max_n <= fewest, "max_n", rule, max_n)
    return replay_cases(cases, built, max_n, shuffles, seed, tell)


def _require_whole_samples(run: RunReader) -> None:
    """Refuse samples that DeepConf has ended early: no other strategy would have drawn them so."""
    drawn = run.manifest.config.get("strategy")
    if isinstance(drawn, dict) and drawn.get("deep_conf") is not None:
        rule = "hold samples that were drawn whole; this one was drawn with strategy.deep_conf"
        raise InputError(f"run must {rule}, got {run.shown_path!r}")


def replay_cases(
    cases: Sequence[Case],
    strategy: ReplayedStrategy,
    max_n: int,
    shuffles: int,
    seed: int = 0,
    tell: Callable[[str], None] = lambda line: None,
) -> Replay:
    """Replay a strategy on cases; the orders depend on the seed and a question's place alone."""
    means = wait_for(_means(cases, strategy, max_n, shuffles, seed, tell))
    mean = OrderFigures(*means.mean(axis=0).tolist())
    is_graded = not math.isnan(mean.right)
    interval = clustered_interval(means[:, 0]) if is_graded else Interval(math.nan, math.nan)
    return Replay(
        accuracy=mean.right,
        low=interval.low,
        high=interval.high,
        samples=mean.samples,
        tokens=mean.tokens,
        tokens_fixed=mean.tokens_fixed,
        saving=1 - mean.tokens / mean.tokens_fixed if mean.tokens_fixed else 0.0,
        accuracy_fixed=mean.right_fixed,
        answered=mean.answered,
        agreement=mean.agrees,
        seconds=mean.seconds,
        seconds_fixed=math.nan if math.isnan(mean.seconds) else mean.seconds_fixed,
    )


async def _means(
    cases: Sequence[Case],
    strategy: ReplayedStrategy,
    max_n: int,
    shuffles: int,
    seed: int,
    tell: Callable[[str], None],
) -> Scores:
    """[Q, 9] The means over the shuffles of the fields of `OrderFigures`."""
    scores = [await pointwise_scores(strategy.select, case) for case in cases]
    shuffled = [orders(case, max_n, shuffles, seed, q) for q, case in enumerate(cases)]
    total = np.zeros((len(cases), len(OrderFigures._fields)))
    for number, batch in enumerate(zip(*shuffled, strict=True), start=1):  # an order of each
        drawn = [
            Drawn(case=case, order=order, whole=whole)
            for case, order, whole in zip(cases, batch, scores, strict=True)
        ]
        total += np.array(await _measured(drawn, strategy, max_n), np.float64)
        if number % TELL_EVERY == 0:
            tell(f"{number} of {shuffles} orders of each question")
    return total / shuffles


async def _measured(
    drawn: Sequence[Drawn], strategy: ReplayedStrategy, max_n: int
) -> list[OrderFigures]:
    """[Q] What the strategy does, beside the same choice from all `max_n`."""
    outcomes = await strategy.outcomes(drawn)
    choices = [await question.spent(strategy.select, max_n) for question in drawn]
    return [
        OrderFigures(
            right=question.right(spent.answer),
            answered=float(spent.answer is not None),
            agrees=float(spent.answer == fixed.answer),
            samples=spent.samples,
            tokens=spent.tokens,
            seconds=spent.seconds,
            right_fixed=question.right(fixed.answer),
            tokens_fixed=fixed.tokens,
            seconds_fixed=question.last_s(),
        )
        for spent, fixed, question in zip(outcomes, choices, drawn, strict=True)
    ]


def orders(case: Case, max_n: int, shuffles: int, seed: int, place: int) -> list[list[int]]:
    """Random orders of `max_n` of the samples of a question."""
    rng = np.random.default_rng([seed, place])
    return [rng.permutation(len(case.candidates))[:max_n].tolist() for _ in range(shuffles)]
