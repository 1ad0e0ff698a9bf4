"""The gold answer: the right answer to a question.

It stays in `experiments`: no query, no sample and no scorer ever holds one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """The right answer to one question, and what its grader needs.

    Example: `Gold(answer="18", full="9 * 2 = 18\\n#### 18")`
    """

    answer: str
    full: str = ""  # the answer with its derivation, where a dataset has one
    task: str = ""  # of reasoning-gym
    options: Mapping[str, object] = field(default_factory=dict)  # of the task
    entry: Mapping[str, object] = field(default_factory=dict)  # what the task's own grader reads
