"""What a dataset yields: items with gold answers apart, and worked examples for the prompt.

It knows no file format and no prompt.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nbest.experiments.language.text import shown
from nbest.experiments.questions.gold import Gold
from nbest.orchestrator.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One row of a dataset: a question, the other columns, and its gold answer.

    Example: `Item(id="gsm8k/1", fields={"question": "3 + 4 = ?"}, gold=Gold(answer="7"))`
    """

    id: str
    fields: Mapping[str, str]  # what a prompt may name; never the answer
    gold: Gold | None = None
    meta: Mapping[str, object] = field(default_factory=dict)  # for selectors, as it was read
    error: str = ""  # why this row cannot be asked; the others can

    @property
    def question(self) -> str:
        return self.fields.get("question", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What a run asks, bad rows included, and the worked examples that its prompts show."""

    items: tuple[Item, ...]  # [Q]
    shots: tuple[Item, ...] = ()  # never one of the questions asked

    def gold(self) -> dict[str, Gold]:
        """The gold answers by query id, for the items that have one."""
        return {item.id: item.gold for item in self.items if item.gold is not None}


def checked(questions: Questions, source: str, limit: int | None) -> Questions:
    """Keep the first `limit` questions; InputError where there are none or an id is there twice."""
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1, got {limit}")
    if not questions.items:
        raise InputError(f"{source}: must hold at least one question, got none")
    twice = [i for i, count in Counter(item.id for item in questions.items).items() if count > 1]
    if twice:
        more = f" and {len(twice) - 3} more" if len(twice) > 3 else ""
        names = ", ".join(shown(i) for i in twice[:3])
        raise InputError(f"{source}: every id must be there once, got {names}{more} twice")
    return Questions(items=questions.items[:limit], shots=questions.shots)


def take_shots(candidates: Iterable[Item], count: int, avoid: Collection[str]) -> tuple[Item, ...]:
    """The first `count` items with gold answers whose questions are not in `avoid`, each once."""
    shots: dict[str, Item] = {}
    for item in candidates if count else ():
        if not item.error and item.gold is not None and item.question not in avoid:
            shots.setdefault(item.question, item)
        if len(shots) == count:
            break
    if len(shots) < count:
        raise InputError(
            f"prompt.shots must be at most {len(shots)}, as many as there are to show, got {count}"
        )
    return tuple(shots.values())


def with_shots(items: Sequence[Item], count: int, others: Iterable[Item] | None) -> Questions:
    """All items, and `count` worked examples from `others`.

    Without others, the first items with gold answers become the examples and are not asked.
    """
    if others is not None:
        questions = {item.question for item in items}
        return Questions(items=tuple(items), shots=take_shots(others, count, questions))
    repeated = {text for text, times in Counter(i.question for i in items).items() if times > 1}
    shots = take_shots(items, count, repeated)
    examples = {shot.question for shot in shots}
    return Questions(items=tuple(i for i in items if i.question not in examples), shots=shots)


class JsonText(str):
    """A list or an object of a table, as JSON text; a template may loop over it."""

    __slots__ = ()


def as_text(value: object) -> str | None:
    """A cell of a table as text; None for an empty one. Numbers are written as Python does."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        return JsonText(json.dumps(value, ensure_ascii=False, default=str))
    return json.dumps(value) if isinstance(value, bool) else str(value)
