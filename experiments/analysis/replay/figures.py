"""The figures of a replay, with their intervals, from what was measured of each question."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import numpy as np

from nbest.experiments.analysis.accuracy import NOTHING, Accuracy, accuracy_of
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.intervals import clustered_mean, student_quantile
from nbest.scorers.estimators.paired import Difference, paired_difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Means over the shuffles, then over the questions; nan for what nobody knows.

    Names that end with low and high are ends of 95% intervals over questions. `accuracy_error` is
    what the orders add: it falls with their number, and is part of the intervals.
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
    samples_low: float = math.nan
    samples_high: float = math.nan
    answered_low: float = math.nan
    answered_high: float = math.nan
    agreement_low: float = math.nan
    agreement_high: float = math.nan
    seconds: float = math.nan  # a question, from the first request to the answer
    seconds_low: float = math.nan
    seconds_high: float = math.nan
    seconds_fixed: float = math.nan  # until the last of max_n has ended
    worths: Scores = field(default_factory=lambda: np.empty(0), repr=False, compare=False)  # [Q]
    worths_most: Scores = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    notes: tuple[str, ...] = ()  # what no grader could say, and what is left out

    def as_json(self) -> dict[str, float | None]:
        """What `--json` prints; nan becomes null, for JSON has none."""
        no_numbers = {"worths", "worths_most", "notes"}
        names = [f.name for f in fields(self) if f.name not in no_numbers]
        numbers = {name: float(getattr(self, name)) for name in names}
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
    gain_least: float  # over all, where what nobody knows is the worse for it
    gain_most: float
    tokens_fixed: float
    seconds_fixed: float


def summed_up(
    columns: Mapping[str, Scores], errors: float, clusters: list[str] | None, max_n: int
) -> Replay:
    """The figures and their intervals, from what was measured of each question [Q]."""
    mean = OrderFigures(*(float(columns[name].mean()) for name in OrderFigures._fields))
    accuracy, gain = NOTHING, Difference(math.nan, math.nan, math.nan)
    if not math.isnan(mean.right):
        accuracy = accuracy_of(columns["right"], columns["right_most"], clusters)
        gain = _gain(columns, clusters)
    samples = accuracy_of(columns["samples"] / max_n, clusters=clusters)
    answered, agrees = (accuracy_of(columns[n], clusters=clusters) for n in ("answered", "agrees"))
    replayed = Replay(
        accuracy=mean.right,
        low=accuracy.low,
        high=accuracy.high,
        accuracy_fixed=mean.right_fixed,
        gain=gain.mean,
        gain_low=gain.low,
        gain_high=gain.high,
        accuracy_error=errors,
        samples=mean.samples,
        samples_low=max_n * samples.low,
        samples_high=max_n * samples.high,
        tokens=math.nan,
        tokens_fixed=math.nan,
        saving=math.nan,
        started=mean.started,
        answered=mean.answered,
        answered_low=answered.low,
        answered_high=answered.high,
        agreement=mean.agrees,
        agreement_low=agrees.low,
        agreement_high=agrees.high,
        worths=columns["right"],
        worths_most=columns["right_most"],
    )
    return _with_seconds(_with_tokens(replayed, columns, clusters), columns, clusters)


def _with_tokens(
    replayed: Replay, columns: Mapping[str, Scores], clusters: list[str] | None
) -> Replay:
    """The replay with its tokens; without where the samples do not say how many they have."""
    saving = ratio_interval(columns["tokens"], columns["tokens_fixed"], clusters)
    if math.isnan(saving.mean):
        return replayed
    counted, fixed = (float(columns[name].mean()) for name in ("counted", "tokens_fixed"))
    return replace(
        replayed,
        tokens=float(columns["tokens"].mean()),
        tokens_counted=counted,
        tokens_fixed=fixed,
        saving=1 - saving.mean,
        saving_low=1 - saving.high,
        saving_high=1 - saving.low,
        saving_counted=1 - counted / fixed,
    )


def _with_seconds(
    replayed: Replay, columns: Mapping[str, Scores], clusters: list[str] | None
) -> Replay:
    """The replay with its seconds; without where the samples do not say how long they took."""
    # One after the other takes longer than all at once.
    pace = ratio_interval(columns["seconds"], columns["seconds_fixed"], clusters, most=math.inf)
    if math.isnan(pace.mean):
        return replayed
    fixed = float(columns["seconds_fixed"].mean())
    return replace(
        replayed,
        seconds=pace.mean * fixed,
        seconds_low=pace.low * fixed,
        seconds_high=pace.high * fixed,
        seconds_fixed=fixed,
    )


def _gain(columns: Mapping[str, Scores], clusters: Sequence[str] | None) -> Difference:
    """What the strategy wins over all samples; what nobody knows counts against it, and for it."""
    right, fixed = columns["right"], columns["right_fixed"]
    gain = paired_difference(right, fixed, clusters=clusters)
    low, high = (
        paired_difference(columns[name], np.zeros(len(right)), clusters=clusters)
        for name in ("gain_least", "gain_most")
    )
    return Difference(gain.mean, low.low, high.high)


def ratio_interval(
    tokens: Scores, of: Scores, clusters: Sequence[str] | None = None, most: float = 1.0
) -> Accuracy:
    """The ratio of two sums over questions [Q], and its 95% interval; nan if unknown.

    The residuals of a ratio estimate (Cochran 1977, section 6.4), as `clustered_interval` takes
    them: a question of the mean size that costs nothing and one that costs all are added. Where
    questions come from templates, `clusters` [Q] names these, and they are what was drawn. `most`
    is the most that a question can cost, as a share of `of`; infinite where it knows no limit.
    """
    total = float(of.sum())
    if not total or np.isnan(tokens).any():
        return NOTHING
    ratio = float(tokens.sum()) / total
    shares = np.divide(tokens, of, out=np.zeros(len(of)), where=of > 0)
    ends = (0.0, min(most, 2 * max(ratio, 0.5)))
    mean = clustered_mean(shares, clusters, ends=ends, weights=of)
    half = student_quantile(mean.degrees, 0.975) * mean.error
    low, high = min(ratio, mean.mean - half), max(ratio, mean.mean + half)
    return Accuracy(ratio, max(0.0, low), min(most, high))
