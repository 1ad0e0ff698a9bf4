"""reasoning-gym's own graders, one a task.

It knows no dataset settings: a task's grader reads the entry that the task generated, nothing else.
Importing reasoning-gym takes about a second, so it is imported in the process that grades.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from nbest.experiments.language.optional_packages import reasoning_gym
from nbest.experiments.questions.gold import Gold, packed, unpacked
from nbest.experiments.questions.graders.evaluating import evaluates
from nbest.scorers.sandboxes.processes import Unfinished, reading_processes

# Graders give partial marks, as 0.5 for an answer among other words; those are not right answers.
RIGHT = 0.99

TASK_S = 20.0  # for one answer


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningGym:
    """Right when the task's own grader gives full marks.

    It runs in a child process. The verdict is nan for a question of no task, for a task whose
    grader would run a text as code, and where a grader fails or takes too long.
    """

    def __call__(self, answer: str | None, gold: Gold) -> float:
        if answer is None or not gold.task:
            return math.nan
        try:
            score = reading_processes().call_now(TASK_S, task_score, answer, packed(gold))
        except Unfinished:  # graders fail in many ways on what a model wrote
            return math.nan
        return math.nan if score is None or math.isnan(score) else float(score >= RIGHT)


def task_score(answer: str, packed_gold: Mapping[str, str]) -> float | None:
    """The marks of a task's grader; None where it would run a text as code, or there is none.

    It is called in a child process.
    """
    gold = unpacked(packed_gold)
    if gold.task not in reasoning_gym().factory.DATASETS or runs_text(gold.task):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        grader = task_grader(gold.task, packed_gold["options"])
        return float(grader(answer, gold.entry))


def warm_up() -> None:
    """Import the package, which takes a second; InputError where it is not installed."""
    reasoning_gym()


@cache
def runs_text(task: str) -> bool:
    """Whether the grader of a task of reasoning-gym may run a text as code."""
    dataset = reasoning_gym().factory.DATASETS[task][0]
    return evaluates(dataset.score_answer, dataset)


@cache
def task_grader(task: str, options: str) -> Callable[[str, Mapping[str, object]], float]:
    """The function that grades a task's answers; `options` is JSON text."""
    dataset = reasoning_gym().create_dataset(task, **json.loads(options))
    grader: Callable[[str, Mapping[str, object]], float] = dataset.score_answer
    return grader
