"""Rows: selectors applied to stored samples, and what they choose graded, without an engine.

Gold answers meet samples here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nbest.experiments.runs.cases import Case
from nbest.experiments.runs.stored_calls import Meter, NotAsked
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.selection import select
from nbest.orchestrator.types import Sample, Selection
from nbest.scorers.estimators.intervals import Interval, clustered_interval, wilson_interval

JSON_KEYS = (
    "select",
    "accuracy",
    "low",
    "high",
    "abstained",
    "n_queries",
    "n_samples",
    "tokens",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How well one selector does on a run. Nan where nothing was graded."""

    select: str
    accuracy: float  # right answers a question; an abstention is not a right answer
    low: float  # 95% interval
    high: float
    abstained: int  # questions
    n_queries: int  # that have samples
    n_samples: int  # that were chosen from
    tokens: int  # generated for them, and by the model that the selector asks
    seconds: float  # a question, mean: from its first request to its last sample
    failed: int = 0  # questions at which the selector itself failed; they count nowhere else
    failure: str = ""  # the first of these, in one line
    n_graded: int = 0  # questions with a gold answer that the grader can compare with
    answered: tuple[tuple[float, bool], ...] = ()  # of these: confidence, and whether it is right
    verdicts: tuple[tuple[str, float], ...] = ()  # of the graded ones: query id, 1 if it is right
    choices: tuple[tuple[str, str | None], ...] = ()  # query id, the answer
    scorer_tokens: int = 0  # that judges and verifiers read and wrote
    scorer_s: float = 0.0  # that their calls took, summed up

    def as_json(self) -> dict[str, str | int | float | None]:
        """What `--json` prints; nan becomes null, for JSON has none."""
        return {key: _or_none(getattr(self, key)) for key in JSON_KEYS}


async def selector_row(
    name: str, scorer: Scorer, cases: Sequence[Case], min_confidence: float = 0.0
) -> Row:
    """Grade the answers that a selector chooses; below `min_confidence` it abstains."""
    require_logprobs(name, scorer, cases)
    chosen: list[tuple[Case, Selection]] = []
    failure, meter = "", Meter()
    not_asked: NotAsked | None = None
    for case in cases:
        try:
            selection = await select(case.query, meter.on(case.candidates), scorer, min_confidence)
            chosen.append((case, selection))
        # A scorer may be a plugin, and it reads what a model wrote. Where it fails there is no
        # choice to grade: neither a wrong one nor an abstention.
        except Exception as error:  # noqa: BLE001
            failure = failure or f"{case.query.id}: {type(error).__name__}: {error}"
            not_asked = not_asked or (error if isinstance(error, NotAsked) else None)
    if not_asked and not chosen:
        raise not_asked
    graded = [
        (case, selection, 0.0 if selection.answer is None else case.verdicts[selection.answer])
        for case, selection in chosen
        if case.is_graded
    ]
    abstained = sum(selection.answer is None for _, selection in chosen)
    estimate = _proportion([verdict for *_, verdict in graded])
    row = _row(name, [case for case, _ in chosen], estimate, abstained=abstained)
    compared = [(case, s, verdict) for case, s, verdict in graded if not math.isnan(verdict)]
    return replace(
        row,
        tokens=row.tokens + meter.tokens,
        failed=len(cases) - len(chosen),
        failure=failure,
        n_graded=len(compared),
        answered=tuple((s.confidence, v == 1.0) for _, s, v in compared if s.answer is not None),
        verdicts=tuple((case.query.id, verdict) for case, _, verdict in compared),
        choices=tuple((case.query.id, selection.answer) for case, selection in chosen),
        scorer_tokens=meter.all_tokens,
        scorer_s=meter.seconds,
    )


def one_sample_row(cases: Sequence[Case]) -> Row:
    """What one sample alone is worth: the mean over all samples, at the cost of one."""
    means = [float(np.mean(c.shares)) for c in cases if c.is_graded and c.shares]
    mean = float(np.mean(means)) if means else math.nan
    interval = clustered_interval(means) if means else Interval(math.nan, math.nan)
    whole = _row("one sample (mean)", cases, (mean, interval), abstained=0)
    num = max(1, whole.n_samples)
    return Row(
        select=whole.select,
        accuracy=mean,
        low=interval.low,
        high=interval.high,
        abstained=0,
        n_queries=whole.n_queries,
        n_samples=whole.n_queries,
        tokens=round(whole.tokens * whole.n_queries / num),
        seconds=_mean_of(cases, lambda samples: float(np.mean([s.total_s for s in samples]))),
    )


def any_right_row(cases: Sequence[Case]) -> Row:
    """What a perfect selector would reach: any of the samples is right (coverage, pass@N)."""
    hits = [max(c.shares) for c in cases if c.is_graded and c.shares]
    largest = max((len(case.candidates) for case in cases), default=0)
    return _row(f"any of {largest} right", cases, _proportion(hits), abstained=0)


def _row(name: str, cases: Sequence[Case], estimate: tuple[float, Interval], abstained: int) -> Row:
    accuracy, interval = estimate
    samples = [s for case in cases for s in case.candidates.samples]
    return Row(
        select=name,
        accuracy=accuracy,
        low=interval.low,
        high=interval.high,
        abstained=abstained,
        n_queries=len(cases),
        n_samples=len(samples),
        tokens=sum(s.generated_tokens for s in samples),
        seconds=_mean_of(cases, lambda group: max(s.total_s for s in group)),
    )


def _proportion(verdicts: Sequence[float]) -> tuple[float, Interval]:
    graded = [v for v in verdicts if not math.isnan(v)]
    if not graded:
        return math.nan, Interval(math.nan, math.nan)
    right = sum(v == 1.0 for v in graded)
    return right / len(graded), wilson_interval(right, len(graded))


def _mean_of(cases: Sequence[Case], value: Callable[[Sequence[Sample]], float]) -> float:
    return float(np.mean([value(c.candidates.samples) for c in cases])) if cases else math.nan


def require_logprobs(name: str, scorer: Scorer, cases: Sequence[Case]) -> None:
    """Raise InputError where the samples lack the log-probabilities that a scorer reads."""
    needed = scorer.needs_logprobs
    if needed is None or not cases:
        return
    samples = [sample for case in cases for sample in case.candidates.samples]
    if all(sample.logprobs is None for sample in samples):
        raise InputError(
            f"{name} needs log-probabilities, and this run kept none: "
            f"sample it again with sampling.logprobs: {needed}"
        )
    stored_k = max(0 if s.top_logprobs is None else s.top_logprobs.k for s in samples)
    if stored_k < needed:
        raise InputError(
            f"{name} needs those of the {needed} likeliest tokens, and this run kept {stored_k}: "
            f"sample it again with sampling.logprobs: {needed}"
        )


def _or_none(value: str | int | float) -> str | int | float | None:
    return None if isinstance(value, float) and math.isnan(value) else value
