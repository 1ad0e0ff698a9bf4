"""`nbest replay`: what an adaptive strategy would have drawn, on samples that are stored.

The samples of each question are put into many random orders, and the same rule as in a live run
says after each sample whether it has seen enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np

from nbest.experiments.analysis.accuracy import NOTHING, Accuracy, accuracy_of
from nbest.experiments.analysis.curves.exact import ended, graded_cases
from nbest.experiments.analysis.replay.drawn import Drawn, pointwise_scores
from nbest.experiments.analysis.replay.strategy import ReplayedStrategy, build_strategy
from nbest.experiments.analysis.rows import named_clusters
from nbest.experiments.analysis.stored_logprobs import require_logprobs
from nbest.experiments.runs.cases import Case, cases_of, reading_of
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Scores, require
from nbest.scorers.estimators.intervals import student_quantile
from nbest.scorers.estimators.paired import Difference, paired_difference

TELL_EVERY = 10  # orders
SHUFFLES = 1000  # with 100 the error is as large as what rules differ by


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Means over the shuffles, then over the questions; nan for what nobody knows.

    `low` and `high` are 95% intervals over questions. `accuracy_error` is what the orders add: it
    falls with their number, and is part of the intervals.
    """

    accuracy: float  # nan where there is no gold answer
    low: float
    high: float
    samples: float  # a question, that decided
    tokens: float  # a question, of aborted samples up to their end
    tokens_fixed: float  # a question, for max_n samples
    saving: float  # share of tokens saved against drawing max_n for every question
    accuracy_fixed: float  # of the same choice from max_n in the same orders
    answered: float  # share of questions; of the others it abstains
    agreement: float  # share of questions with the answer of that choice from max_n
    gain: float = math.nan  # accuracy less accuracy_fixed, on the same questions
    gain_low: float = math.nan
    gain_high: float = math.nan
    accuracy_error: float = math.nan  # standard error of `gain` from drawing orders
    started: float = math.nan  # samples a question, those that were aborted among them
    tokens_counted: float = math.nan  # a question, of the samples that decided
    saving_low: float = math.nan
    saving_high: float = math.nan
    saving_counted: float = math.nan  # without what was aborted: `ahead` 1 comes to it
    seconds: float = math.nan  # a question, from the first request to the answer
    seconds_fixed: float = math.nan  # until the last of max_n has ended
    worths: Scores = field(default_factory=lambda: np.empty(0), repr=False, compare=False)  # [Q]

    def as_json(self) -> dict[str, float | None]:
        """What `--json` prints; nan becomes null, for JSON has none."""
        numbers = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "worths"}
        return {key: None if math.isnan(v) else v for key, v in numbers.items()}


class OrderFigures(NamedTuple):
    """What is measured of a question in one order of its samples."""

    right: float
    right_most: float  # if what the grader could not say were right
    answered: float
    agrees: float
    samples: float
    started: float
    tokens: float
    counted: float
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
    means, errors = wait_for(_means(cases, strategy, max_n, shuffles, seed, tell))
    columns = dict(zip(OrderFigures._fields, means.T, strict=True))
    mean = OrderFigures(*means.mean(axis=0).tolist())
    clusters = named_clusters([case.cluster for case in cases])
    accuracy, gain = NOTHING, Difference(math.nan, math.nan, math.nan)
    if not math.isnan(mean.right):
        accuracy = accuracy_of(columns["right"], columns["right_most"], clusters)
        gain = _gain(columns["right"], columns["right_fixed"], shuffles)
    saving = ratio_interval(columns["tokens"], columns["tokens_fixed"])
    counted = mean.counted / mean.tokens_fixed if mean.tokens_fixed else 1.0
    return Replay(
        accuracy=mean.right,
        low=accuracy.low,
        high=accuracy.high,
        accuracy_fixed=mean.right_fixed,
        gain=gain.mean,
        gain_low=gain.low,
        gain_high=gain.high,
        accuracy_error=errors,
        samples=mean.samples,
        started=mean.started,
        tokens=mean.tokens,
        tokens_counted=mean.counted,
        tokens_fixed=mean.tokens_fixed,
        saving=1 - saving.mean,
        saving_low=1 - saving.high,
        saving_high=1 - saving.low,
        saving_counted=1 - counted,
        answered=mean.answered,
        agreement=mean.agrees,
        seconds=mean.seconds,
        seconds_fixed=math.nan if math.isnan(mean.seconds) else mean.seconds_fixed,
        worths=columns["right"],
    )


def _gain(right: Scores, fixed: Scores, shuffles: int) -> Difference:
    """What the strategy wins over all samples: means over orders, which differ by little."""
    largest = float(np.abs(right - fixed).max())
    return paired_difference(right, fixed, reach=max(largest, 1 / shuffles))


def ratio_interval(tokens: Scores, of: Scores) -> Accuracy:
    """The ratio of two sums over questions [Q], and its 95% interval; 1 where nothing is divided.

    The residuals of a ratio estimate (Cochran 1977, section 6.4), with Student's quantile. One
    question leaves all of [0, 1].
    """
    total = float(of.sum())
    if not total:
        return Accuracy(1.0, 1.0, 1.0)
    ratio = float(tokens.sum()) / total
    if len(of) < 2:
        return Accuracy(ratio, 0.0, 1.0)
    residuals = tokens - ratio * of
    error = math.sqrt(len(of) / (len(of) - 1) * float(residuals @ residuals)) / total
    half = student_quantile(len(of) - 1, 0.975) * error
    return Accuracy(ratio, max(0.0, ratio - half), min(1.0, ratio + half))


async def _means(
    cases: Sequence[Case],
    strategy: ReplayedStrategy,
    max_n: int,
    shuffles: int,
    seed: int,
    tell: Callable[[str], None],
) -> tuple[Scores, float]:
    """[Q, F] The means over the shuffles of the fields of `OrderFigures`, and the orders' error.

    The error is the standard error, from drawing orders, of what the strategy wins over all.
    """
    scores = [await pointwise_scores(strategy.select, case) for case in cases]
    shuffled = [orders(case, max_n, shuffles, seed, q) for q, case in enumerate(cases)]
    total = np.zeros((len(cases), len(OrderFigures._fields)))
    gains: list[float] = []  # of each order, over all questions
    place, fixed_place = (OrderFigures._fields.index(n) for n in ("right", "right_fixed"))
    for number, batch in enumerate(zip(*shuffled, strict=True), start=1):  # an order of each
        drawn = [
            Drawn(case=case, order=order, whole=whole)
            for case, order, whole in zip(cases, batch, scores, strict=True)
        ]
        measured = np.array(await _measured(drawn, strategy, max_n), np.float64)
        total += measured
        gains.append(float(np.mean(measured[:, place] - measured[:, fixed_place])))
        if number % TELL_EVERY == 0:
            tell(f"{number} of {shuffles} orders of each question")
    spread = float(np.std(gains, ddof=1)) if shuffles > 1 else math.nan
    return total / shuffles, spread / math.sqrt(shuffles)


async def _measured(
    drawn: Sequence[Drawn], strategy: ReplayedStrategy, max_n: int
) -> list[OrderFigures]:
    """[Q] What the strategy does, beside the same choice from all `max_n`."""
    outcomes = await strategy.outcomes(drawn)
    choices = [await question.spent(strategy.select, max_n) for question in drawn]
    return [
        OrderFigures(
            right=question.right(spent.answer),
            right_most=question.right(spent.answer, unknown=1.0),
            answered=float(spent.answer is not None),
            agrees=float(spent.answer == fixed.answer),
            samples=spent.samples,
            started=spent.samples if spent.started is None else spent.started,
            tokens=spent.tokens,
            counted=spent.tokens if spent.counted is None else spent.counted,
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
