"""reasoning-gym's own graders, one a task.

It knows no dataset settings: a task's grader reads the entry that the task generated, nothing else.
Importing reasoning-gym takes about a second, so it is imported at the first answer that needs it.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO

from nbest.experiments.language.optional_packages import reasoning_gym
from nbest.experiments.questions.gold import Gold
from nbest.orchestrator.errors import InputError

# Graders give partial marks, as 0.5 for an answer among other words; those are not right answers.
RIGHT = 0.99

# The graders of these tasks hand text to Python's eval: most of them the text of the model (the
# integrations, polynomial_multiplication, countdown and puzzle24 by way of sympy's parse_expr), so
# that a model could run any code here; number_sorting the text of the gold file. composite passes
# its text on to any of the others.
EVALUATING_TASKS = frozenset(
    {
        "binary_matrix",
        "composite",
        "countdown",
        "intermediate_integration",
        "n_queens",
        "number_sorting",
        "polynomial_multiplication",
        "puzzle24",
        "simple_integration",
        "spiral_matrix",
        "string_insertion",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningGym:
    """Right when the task's own grader gives full marks.

    The verdict is nan for a question of no task, for a task whose grader would run the text as
    code, and where a grader fails.
    """

    def __call__(self, answer: str | None, gold: Gold) -> float:
        if answer is None or not gold.task or gold.task in EVALUATING_TASKS:
            return math.nan
        options = json.dumps(dict(gold.options), sort_keys=True)
        try:
            # Some graders print, and some warn, on a text that they cannot read.
            with warnings.catch_warnings(), redirect_stdout(StringIO()):
                warnings.simplefilter("ignore")
                score = float(task_grader(gold.task, options)(answer, gold.entry))
        except InputError:  # reasoning-gym is not installed
            raise
        except Exception:  # noqa: BLE001 - they fail in many ways on what a model wrote
            return math.nan
        return math.nan if math.isnan(score) else float(score >= RIGHT)


@cache
def task_grader(task: str, options: str) -> Callable[[str, Mapping[str, object]], float]:
    """The function that grades a task's answers; `options` is JSON text."""
    dataset = reasoning_gym().create_dataset(task, **json.loads(options))
    grader: Callable[[str, Mapping[str, object]], float] = dataset.score_answer
    return grader
