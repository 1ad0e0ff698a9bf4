"""The heat strip: selectors by questions, the surest first, each right, wrong or without answer.

It shows where selectors differ, and whether the wrong answers are those of little agreement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nbest.experiments.analysis.table.rows import GradedChoice, Row

MOST_CELLS = 100  # of a strip: more would be thinner than a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One question, or several that follow each other, as one selector answers them."""

    title: str
    right: float  # share; nan where nothing is answered or known
    query_id: str  # of the first of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """The cells of one selector."""

    select: str
    cells: tuple[Cell, ...]


def strips(rows: Sequence[Row], graded_ids: Sequence[str]) -> tuple[Strip, ...]:
    """The strip of each selector, all in the order of the first one's confidence."""
    if not rows or not graded_ids:
        return ()
    confidence = {c.query_id: c.confidence for c in rows[0].choices if c.answer is not None}
    ids = sorted(graded_ids, key=lambda key: (-confidence.get(key, -math.inf), key))
    size = -(-len(ids) // MOST_CELLS)
    groups = [ids[start : start + size] for start in range(0, len(ids), size)]
    found = []
    for row in rows:
        choices = {choice.query_id: choice for choice in row.choices}
        cells = tuple(_cell(group, [choices.get(key) for key in group]) for group in groups)
        found.append(Strip(select=row.select, cells=cells))
    return tuple(found)


def _cell(group: Sequence[str], choices: Sequence[GradedChoice | None]) -> Cell:
    known = [c.verdict for c in choices if c and c.answer is not None and c.verdict == c.verdict]
    share = sum(verdict == 1.0 for verdict in known) / len(known) if known else math.nan
    if len(group) == 1:
        word = "no answer" if not known else "right" if share == 1.0 else "wrong"
        return Cell(title=f"{group[0]}: {word}", right=share, query_id=group[0])
    title = f"{group[0]} to {group[-1]}: {sum(v == 1.0 for v in known)} of {len(group)} right"
    return Cell(title=title, right=share, query_id=group[0])
