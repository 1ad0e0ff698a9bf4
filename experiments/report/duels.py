"""Who wins: which of two selectors is right where the other is not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from nbest.experiments.analysis.table.rows import Row
from nbest.experiments.runs.case import Case

Verdict = Literal["right", "wrong", "unknown", "-"]  # the last: it abstained

SHOWN_VERDICTS = 40  # questions where selectors differ


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionVerdicts:
    """Which selectors are right about one question."""

    id: str
    verdicts: tuple[Verdict, ...]  # a selector each, in the order of the rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """Two selectors on the same questions."""

    one: str
    other: str
    only_one: int  # questions that it alone gets right
    only_other: int
    both: int
    neither: int
    unknown: int  # where the grader could not say of one or of both


def duels(rows: Sequence[Row]) -> tuple[Duel, ...]:
    """Count, for each pair of selectors, which of the two is right."""
    return tuple(_duel(one, other) for one, other in combinations(rows, 2))


def _duel(one: Row, other: Row) -> Duel:
    verdicts = other.verdicts
    pairs = [(v, verdicts[key]) for key, v in one.verdicts.items() if key in verdicts]
    known = [pair for pair in pairs if not any(map(math.isnan, pair))]
    counts = Counter((first == 1, second == 1) for first, second in known)
    return Duel(
        one=one.select,
        other=other.select,
        only_one=counts[True, False],
        only_other=counts[False, True],
        both=counts[True, True],
        neither=counts[False, False],
        unknown=len(pairs) - len(known),
    )


def verdicts(rows: Sequence[Row], graded: Sequence[Case]) -> tuple[QuestionVerdicts, ...]:
    """The first questions about which selectors differ."""
    choices = [row.answers for row in rows]
    differ: list[QuestionVerdicts] = []
    for case in graded:
        answers = [chosen.get(case.query.id) for chosen in choices]
        found = tuple("-" if a is None else _verdict(case.verdicts[a]) for a in answers)
        if len(set(found)) > 1:
            differ.append(QuestionVerdicts(id=case.query.id, verdicts=found))
    return tuple(differ[:SHOWN_VERDICTS])


def _verdict(value: float) -> Verdict:
    if math.isnan(value):
        return "unknown"
    return "right" if value == 1.0 else "wrong"
