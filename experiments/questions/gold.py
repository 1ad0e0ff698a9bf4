"""The gold answer: the right answer to a question.

It stays in `experiments`: no query, no sample and no scorer ever holds one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

TUPLE = "__tuple__"  # JSON has no tuples, and some task graders tell them from lists


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


def packed(gold: Gold) -> dict[str, str]:
    """The answer as texts, as a file or another process takes it; equal answers, equal texts."""
    return {
        "answer": gold.answer,
        "full": gold.full,
        "task": gold.task,
        "options": json.dumps(_tagged(gold.options), sort_keys=True),
        "entry": json.dumps(_tagged(gold.entry), sort_keys=True),
    }


def unpacked(row: Mapping[str, str]) -> Gold:
    """The inverse of `packed`."""
    options, entry = (_loaded(row[key]) for key in ("options", "entry"))
    return Gold(
        answer=row["answer"], full=row["full"], task=row["task"], options=options, entry=entry
    )


def _loaded(text: str) -> dict[str, object]:
    return {} if text == "{}" else json.loads(text, object_hook=_untagged)


def _tagged(value: object) -> object:
    if isinstance(value, tuple):
        return {TUPLE: [_tagged(v) for v in value]}
    if isinstance(value, list):
        return [_tagged(v) for v in value]
    if isinstance(value, Mapping):
        return {k: _tagged(v) for k, v in value.items()}
    return value


def _untagged(pairs: dict[str, object]) -> object:
    inner = pairs.get(TUPLE)
    return tuple(inner) if isinstance(inner, list) and len(pairs) == 1 else pairs
