"""Rows: selectors applied to stored samples, and what they choose graded, without an engine.

Gold answers meet samples here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from nbest.experiments.analysis.sample_counts import SampleCounter
from nbest.experiments.analysis.stored_logprobs import LogprobsNeeded
from nbest.experiments.runs.cases import Case
from nbest.experiments.runs.stored_calls import Meter, NotAsked, asks_model
from nbest.orchestrator.errors import error_text
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.selection import select
from nbest.scorers.estimators.intervals import Interval, clustered_interval, wilson_interval
from nbest.scorers.given import UserChoice

JSON_KEYS = (
    "select",
    "accuracy",
    "low",
    "high",
    "abstained",
    "n_queries",
    "n_samples",
    "tokens",
    "failed",
    "failure",
)


class GradedChoice(NamedTuple):
    """What a selector chose for one query."""

    query_id: str
    answer: str | None  # None: it abstained
    confidence: float
    verdict: float  # 1 right, 0 wrong or no answer, nan where nothing can be graded

    @property
    def is_graded(self) -> bool:
        return not math.isnan(self.verdict)


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
    choices: tuple[GradedChoice, ...] = ()  # a query each
    scorer_tokens: int = 0  # that judges and verifiers read and wrote
    scorer_s: float = 0.0  # that their calls took, summed up

    @property
    def answered(self) -> list[tuple[float, bool]]:
        """The confidence of each graded answer, and whether it is right."""
        graded = [c for c in self.choices if c.is_graded]
        return [(c.confidence, c.verdict == 1.0) for c in graded if c.answer is not None]

    @property
    def verdicts(self) -> dict[str, float]:
        """By id of the graded queries: 1 where the choice is right, 0 otherwise."""
        return {c.query_id: c.verdict for c in self.choices if c.is_graded}

    @property
    def answers(self) -> dict[str, str | None]:
        """The answer by query id; None where the selector abstained."""
        return {c.query_id: c.answer for c in self.choices}

    def as_json(self) -> dict[str, str | int | float | None]:
        """What `--json` prints; nan becomes null, for JSON has none."""
        return {key: _or_none(getattr(self, key)) for key in JSON_KEYS}


async def selector_row(
    name: str, scorer: Scorer, cases: Sequence[Case], min_confidence: float = 0.0
) -> Row:
    """Grade the answers that a selector chooses; below `min_confidence` it abstains."""
    grading = SelectorGrading(name, scorer, min_confidence)
    for case in cases:
        await grading.add(case)
    return grading.row()


class SelectorGrading:
    """Applies a selector to one case after the other, and grades what it chooses.

    It keeps numbers and answers, and no sample: a run may be larger than the memory.
    """

    def __init__(self, name: str, scorer: Scorer, min_confidence: float = 0.0) -> None:
        self._name = name
        self._scorer = scorer
        self._min_confidence = min_confidence
        self._logprobs = LogprobsNeeded(name, scorer)
        self._meter = Meter()
        self._asks = asks_model(scorer)
        self._sizes = Sizes()  # of the cases at which it did not fail
        self._choices: list[GradedChoice] = []
        self._failed = 0
        self._failure = ""
        self._not_asked: NotAsked | None = None

    async def add(self, case: Case, size: Size | None = None) -> None:
        """Take a case into account; `size` is that of the case, where it is known already."""
        if isinstance(self._scorer, UserChoice) and not self._scorer.has_decided(case.query.id):
            return  # nobody has looked at it: that is no abstention
        self._logprobs.add(case)
        try:
            candidates = self._meter.on(case.candidates) if self._asks else case.candidates
            selection = await select(case.query, candidates, self._scorer, self._min_confidence)
        # A scorer may be a plugin, and it reads what a model wrote. Where it fails there is no
        # choice to grade: neither a wrong one nor an abstention.
        except Exception as error:  # noqa: BLE001
            self._failed += 1
            self._failure = self._failure or f"{case.query.id}: {error_text(error)}"
            if isinstance(error, NotAsked):
                self._not_asked = self._not_asked or error
            return
        self._sizes.add(size or size_of(case))
        answer = selection.answer
        verdict = 0.0 if answer is None else case.verdicts[answer]
        self._choices.append(
            GradedChoice(
                case.query.id, answer, selection.confidence, verdict if case.is_graded else math.nan
            )
        )

    def row(self) -> Row:
        """The row; InputError where the run lacks what the selector needs."""
        self._logprobs.require()
        if self._not_asked and not self._choices:
            raise self._not_asked
        verdicts = [choice.verdict for choice in self._choices if choice.is_graded]
        row = self._sizes.row(self._name, _proportion(verdicts))
        return replace(
            row,
            abstained=sum(choice.answer is None for choice in self._choices),
            tokens=row.tokens + self._meter.tokens,
            failed=self._failed,
            failure=self._failure,
            n_graded=len(verdicts),
            choices=tuple(self._choices),
            scorer_tokens=self._meter.all_tokens,
            scorer_s=self._meter.seconds,
        )


class Size(NamedTuple):
    """How large one case is."""

    n_samples: int
    tokens: int
    slowest_s: float


def size_of(case: Case) -> Size:
    seconds = [sample.total_s for sample in case.candidates.samples]
    tokens = sum([sample.generated_tokens for sample in case.candidates.samples])
    return Size(len(seconds), tokens, max(seconds))


class Sizes:
    """How large cases are: numbers that are added up case by case."""

    def __init__(self) -> None:
        self.n_queries = 0
        self.n_samples = 0
        self.largest = 0
        self.tokens = 0
        self._slowest_s: list[float] = []  # of each query, its slowest sample

    def add(self, size: Size) -> None:
        self.n_queries += 1
        self.n_samples += size.n_samples
        self.largest = max(self.largest, size.n_samples)
        self.tokens += size.tokens
        self._slowest_s.append(size.slowest_s)

    @property
    def slowest_s(self) -> float:
        """The seconds of a query, mean: its samples are drawn at the same time."""
        return float(np.mean(self._slowest_s)) if self._slowest_s else math.nan

    def row(self, name: str, estimate: tuple[float, Interval]) -> Row:
        """A row with these sizes."""
        accuracy, interval = estimate
        return Row(
            select=name,
            accuracy=accuracy,
            low=interval.low,
            high=interval.high,
            abstained=0,
            n_queries=self.n_queries,
            n_samples=self.n_samples,
            tokens=self.tokens,
            seconds=self.slowest_s,
        )


class BaselineGrading:
    """Grades one sample alone, and any sample, case by case."""

    def __init__(self) -> None:
        self._sizes = Sizes()
        self._means: list[float] = []  # of the graded cases: the share of right samples
        self._hits: list[float] = []  # ... and whether any is right
        self.samples = SampleCounter()

    def add(self, case: Case, size: Size | None = None) -> None:
        self._sizes.add(size or size_of(case))
        self.samples.add(case.candidates)
        shares = case.shares if case.is_graded else []
        if shares:
            self._means.append(math.fsum(shares) / len(shares))
            self._hits.append(max(shares))

    def rows(self) -> tuple[Row, Row]:
        """The rows of one sample and of any sample."""
        return self._one_sample(), self._any_right()

    def _one_sample(self) -> Row:
        """What one sample alone is worth: the mean over all samples, at the cost of one."""
        mean = float(np.mean(self._means)) if self._means else math.nan
        nothing = Interval(math.nan, math.nan)
        interval = clustered_interval(self._means) if self._means else nothing
        whole = self._sizes.row("one sample (mean)", (mean, interval))
        num = max(1, whole.n_samples)
        return replace(
            whole,
            n_samples=whole.n_queries,
            tokens=round(whole.tokens * whole.n_queries / num),
            seconds=math.nan,  # drawn alone it would be faster than among so many
        )

    def _any_right(self) -> Row:
        """What a perfect selector would reach: any of the samples is right (coverage, pass@N)."""
        name = f"any of {self._sizes.largest} right"
        return self._sizes.row(name, _proportion(self._hits))


def baseline_rows(cases: Sequence[Case]) -> tuple[Row, Row]:
    """One sample alone, and any sample right."""
    grading = BaselineGrading()
    for case in cases:
        grading.add(case)
    return grading.rows()


def _proportion(verdicts: Sequence[float]) -> tuple[float, Interval]:
    graded = [v for v in verdicts if not math.isnan(v)]
    if not graded:
        return math.nan, Interval(math.nan, math.nan)
    right = sum(v == 1.0 for v in graded)
    return right / len(graded), wilson_interval(right, len(graded))


def _or_none(value: str | int | float) -> str | int | float | None:
    return None if isinstance(value, float) and math.isnan(value) else value
