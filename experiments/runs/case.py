"""A case: one query with its samples, the answers read in them, and the verdict on each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.graders.by_part import QueryGrader
from nbest.experiments.questions.graders.plain import Grader
from nbest.orchestrator.store.format.schema import FINAL
from nbest.orchestrator.types import Candidates, Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One query with its samples, their answers and the verdict on each."""

    query: Query
    candidates: Candidates  # [N]
    verdicts: Mapping[str, float]  # by answer: 1 right, 0 wrong, nan ungraded
    is_graded: bool  # whether there is a gold answer that the grader can compare with
    cluster: str | None = None  # the template that the question comes from, if the data say so
    graded_by: str = ""  # the name of a model's verdicts, where these grade and no gold answer
    tree_tokens: int | None = None  # of all samples, where they are chains that share steps
    steps: tuple[tuple[str, ...], ...] = ()  # [N] what the steps of each chain say

    @property
    def arms(self) -> tuple[str, ...]:
        """[N] the arm that drew each sample; empty texts where there is no panel."""
        return tuple(sample.arm for sample in self.candidates.samples)

    @property
    def tokens(self) -> int:
        """The tokens that were generated for all samples."""
        if self.tree_tokens is not None:
            return self.tree_tokens
        return sum([sample.generated_tokens for sample in self.candidates.samples])

    def is_right(self, answer: str | None) -> bool | None:
        """Whether an answer is right; None where nobody can tell. None of all is not right."""
        if not self.is_graded:
            return None
        verdict = 0.0 if answer is None else self.verdicts[answer]
        return None if math.isnan(verdict) else verdict == 1.0

    @property
    def worths(self) -> list[float]:
        """1 for every sample that is right, 0 for wrong ones and abstentions, nan if ungraded.

        Samples that failed or were aborted are left out: nobody knows what they would have said.
        """
        pairs = zip(self.candidates.samples, self.candidates.answers, strict=True)
        ended = [a for sample, a in pairs if sample.status in FINAL]
        return [0.0 if a is None else self.verdicts[a] for a in ended]


async def graded_case(
    query: Query, candidates: Candidates, gold: Gold | None, grade: Grader | QueryGrader
) -> Case:
    """The case of one query, each distinct answer graded once.

    It is graded where the grader can say something of an answer. Where it fails at all of them, it
    is if the grader takes the gold answer for one that it knows: a question that is too hard for
    it counts, and one whose gold answer it cannot read does not. A question none of whose samples
    ended is not graded: nobody knows what they would have said.
    """
    answers = sorted({a for a in candidates.answers if a is not None})
    verdicts = dict(zip(answers, await _graded(query, answers, gold, grade), strict=True))
    has_ended = any(sample.status in FINAL for sample in candidates.samples)
    can_tell = not all(map(math.isnan, verdicts.values()))
    if has_ended and not can_tell:
        can_tell = await _can_grade(query, gold, grade)
    return Case(
        query=query,
        candidates=candidates,
        verdicts=verdicts,
        is_graded=has_ended and can_tell,
    )


async def _graded(
    query: Query, answers: Sequence[str], gold: Gold | None, grade: Grader | QueryGrader
) -> Sequence[float]:
    """The verdict on each answer; nan without a gold answer, where one is needed."""
    if isinstance(grade, QueryGrader):
        return await grade.grade_each(query, answers, gold)
    return [math.nan if gold is None else grade(answer, gold) for answer in answers]


async def _can_grade(query: Query, gold: Gold | None, grade: Grader | QueryGrader) -> bool:
    """Whether the grader can tell right from wrong at this question: at the gold answer, it can."""
    if isinstance(grade, QueryGrader):
        return await grade.can_grade(query, gold)
    return gold is not None and not math.isnan(grade(gold.answer, gold))
