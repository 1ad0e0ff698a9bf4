"""Rows: selectors applied to stored samples, and what they choose graded, without an engine.

Gold answers meet samples here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from nbest.experiments.analysis.accuracy import Accuracy, accuracy_of, known_as
from nbest.experiments.analysis.stored_logprobs import LogprobsNeeded
from nbest.experiments.analysis.table.sizes import Size, Sizes, size_of
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.stored_calls import Meter, NotAsked, asks_model
from nbest.orchestrator.errors import error_text
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.selection import select
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
    "unknown",
)


class GradedChoice(NamedTuple):
    """What a selector chose for one query."""

    query_id: str
    answer: str | None  # None: it abstained
    confidence: float
    verdict: float  # 1 right, 0 wrong or no answer, nan where the grader cannot say
    is_graded: bool = True  # whether the question has a gold answer that it can compare with
    cluster: str | None = None  # the template of the question

    @property
    def worth(self) -> float:
        """1 for a right answer; 0 for a wrong one, for none, and where the grader cannot say."""
        return known_as(self.verdict, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How well one selector does on a run. Nan where nothing was graded."""

    select: str
    accuracy: float  # right answers a question; neither an abstention nor an unknown one is right
    low: float  # 95% interval; its upper end is of what it would be if all unknown ones were right
    high: float
    abstained: int  # questions
    n_queries: int  # that have samples
    n_samples: int  # that were chosen from
    tokens: int  # generated for them, and by the model that the selector asks
    seconds: float  # a question, mean: from its first request to its last sample
    failed: int = 0  # questions at which the selector itself failed; they count nowhere else
    failure: str = ""  # the first of these, in one line
    samples_each: tuple[int, int] = (0, 0)  # fewest and most of a question that ended
    n_graded: int = 0  # questions with a gold answer that the grader can compare with
    unknown: int = 0  # ... at whose answer it could not say; of one sample, samples
    choices: tuple[GradedChoice, ...] = ()  # a query each
    scorer_tokens: int = 0  # that judges and verifiers read and wrote
    scorer_s: float = 0.0  # that their calls took, summed up

    @property
    def given(self) -> list[GradedChoice]:
        """The choices of graded questions that have an answer."""
        return [c for c in self.choices if c.is_graded and c.answer is not None]

    @property
    def answered(self) -> list[tuple[float, bool]]:
        """The confidence of each graded answer, and whether it is right, beyond doubt."""
        return [(choice.confidence, choice.verdict == 1.0) for choice in self.given]

    @property
    def verdicts(self) -> dict[str, float]:
        """By id of the graded queries: 1 where the choice is right, nan where nobody knows."""
        return {c.query_id: c.verdict for c in self.choices if c.is_graded}

    @property
    def clusters(self) -> dict[str, str | None]:
        """By id of the graded queries: the template, where the data name it."""
        return {c.query_id: c.cluster for c in self.choices if c.is_graded}

    @property
    def answers(self) -> dict[str, str | None]:
        """The answer by query id; None where the selector abstained."""
        return {c.query_id: c.answer for c in self.choices}

    def as_json(self) -> dict[str, str | int | float | None]:
        """What `--json` prints; nan becomes null, for JSON has none."""
        return {key: _or_none(getattr(self, key)) for key in JSON_KEYS}


def row_of(name: str, sizes: Sizes, accuracy: Accuracy) -> Row:
    """A row of these sizes."""
    return Row(
        select=name,
        accuracy=accuracy.mean,
        low=accuracy.low,
        high=accuracy.high,
        abstained=0,
        n_queries=sizes.n_queries,
        n_samples=sizes.n_samples,
        samples_each=sizes.ended_each,
        tokens=sizes.tokens,
        seconds=sizes.slowest_s,
    )


async def selector_row(
    name: str, scorer: Scorer, cases: Sequence[Case], min_confidence: float = 0.0
) -> Row:
    """Grade the answers that a selector chooses; below `min_confidence` it abstains."""
    grading, sizes = SelectorGrading(name, scorer, min_confidence), Sizes()
    for case in cases:
        size = size_of(case)
        sizes.add(size)
        await grading.add(case, size)
    return grading.row(sizes)


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
        self._left_out = Sizes()  # of the cases at which it failed, or a person has not decided
        self._choices: list[GradedChoice] = []
        self._failed = 0
        self._failure = ""
        self._not_asked: NotAsked | None = None

    async def add(self, case: Case, size: Size) -> None:
        """Take a case of this size into account."""
        if isinstance(self._scorer, UserChoice) and not self._scorer.has_decided(case.query.id):
            self._left_out.add(size)
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
            self._left_out.add(size)
            return
        answer = selection.answer
        verdict = 0.0 if answer is None else case.verdicts[answer]
        confidence, query_id = selection.confidence, case.query.id
        self._choices.append(
            GradedChoice(query_id, answer, confidence, verdict, case.is_graded, case.cluster)
        )

    def row(self, sizes: Sizes) -> Row:
        """The row; InputError where the run lacks what the selector needs.

        `sizes` are those of all cases, which a table has once for all of its rows.
        """
        self._logprobs.require()
        if self._not_asked and not self._choices:
            raise self._not_asked
        graded = [choice for choice in self._choices if choice.is_graded]
        accuracy = accuracy_of(
            [choice.worth for choice in graded],
            [known_as(choice.verdict, 1.0) for choice in graded],
            named_clusters([choice.cluster for choice in graded]),
        )
        row = row_of(self._name, sizes.without(self._left_out), accuracy)
        return replace(
            row,
            abstained=sum(choice.answer is None for choice in self._choices),
            tokens=row.tokens + self._meter.tokens,
            failed=self._failed,
            failure=self._failure,
            n_graded=len(graded),
            unknown=sum(math.isnan(choice.verdict) for choice in graded),
            choices=tuple(self._choices),
            scorer_tokens=self._meter.all_tokens,
            scorer_s=self._meter.seconds,
        )


def named_clusters(clusters: Sequence[str | None]) -> list[str] | None:
    """The templates of questions; None where the data name none."""
    named = [cluster for cluster in clusters if cluster is not None]
    return named if named and len(named) == len(clusters) else None


def _or_none(value: str | int | float) -> str | int | float | None:
    return None if isinstance(value, float) and math.isnan(value) else value
