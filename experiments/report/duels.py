"""Who wins: which of two selectors is right where the other is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from nbest.experiments.analysis.rows import Row
from nbest.experiments.runs.cases import Case

SHOWN_VERDICTS = 40  # questions where selectors differ


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionVerdicts:
    """Which selectors are right about one question."""

    id: str
    right: tuple[bool | None, ...]  # a selector each, in the order of the rows; None: abstained


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """Two selectors on the same questions."""

    one: str
    other: str
    only_one: int  # questions that it alone gets right
    only_other: int
    both: int
    neither: int


def duels(rows: Sequence[Row]) -> tuple[Duel, ...]:
    """Count, for each pair of selectors, which of the two is right."""
    return tuple(_duel(one, other) for one, other in combinations(rows, 2))


def _duel(one: Row, other: Row) -> Duel:
    verdicts = other.verdicts
    pairs = ((v, verdicts[key]) for key, v in one.verdicts.items() if key in verdicts)
    counts = Counter((first == 1, second == 1) for first, second in pairs)
    return Duel(
        one=one.select,
        other=other.select,
        only_one=counts[True, False],
        only_other=counts[False, True],
        both=counts[True, True],
        neither=counts[False, False],
    )


def verdicts(rows: Sequence[Row], graded: Sequence[Case]) -> tuple[QuestionVerdicts, ...]:
    """The first questions about which selectors differ."""
    choices = [row.answers for row in rows]
    differ: list[QuestionVerdicts] = []
    for case in graded:
        answers = [chosen.get(case.query.id) for chosen in choices]
        right = tuple(None if a is None else case.verdicts[a] == 1.0 for a in answers)
        if len(set(right)) > 1:
            differ.append(QuestionVerdicts(id=case.query.id, right=right))
    return tuple(differ[:SHOWN_VERDICTS])
