"""Selectors on the same questions: what one wins over another, in a sentence each.

The lines of a table are corrected together: with seven useless selectors beside the first, a claim
for any of them is wrong in one of twenty tables, not in one of five.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nbest.experiments.analysis.accuracy import known_as
from nbest.experiments.analysis.rows import Row
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.paired import (
    FEWEST_DIFFERENT,
    Difference,
    discordant,
    holm,
    mcnemar,
    paired_difference,
)

FEWEST = 2  # questions in common
LEAST_P = 1e-6  # smaller ones are printed as "less than this"
MANY_ROWS = 3  # from here on the best of a table is partly the luckiest


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two rows, and what both are worth at the questions that they share [Q]: nan if unknown."""

    first: Row
    other: Row
    first_worths: Scores
    other_worths: Scores

    @property
    def is_known(self) -> bool:
        return not bool(np.isnan(self.first_worths).any() or np.isnan(self.other_worths).any())

    @property
    def p_value(self) -> float:
        """That of McNemar's test, 1 where it cannot claim anything."""
        if not self.is_known or sum(discordant(self.other_worths, self.first_worths)) < (
            FEWEST_DIFFERENT
        ):
            return 1.0
        return mcnemar(self.other_worths, self.first_worths)

    def difference(self, confidence: float) -> Difference:
        """What the other wins; what nobody knows counts against it below, and for it above."""
        (one, one_most), (two, two_most) = (
            (np.where(np.isnan(worths), 0.0, worths), np.where(np.isnan(worths), 1.0, worths))
            for worths in (self.first_worths, self.other_worths)
        )
        mean = paired_difference(two, one, confidence)
        if self.is_known:
            return mean
        low = paired_difference(two, one_most, confidence).low
        return Difference(mean.mean, low, paired_difference(two_most, one, confidence).high)


def paired_sentences(rows: Sequence[Row]) -> list[str]:
    """Compare each selector after the first with the first, a sentence each."""
    return _sentences([pair_of(rows[0], row) for row in rows[1:]])


def paired_runs(
    first_name: str,
    first: Sequence[Row],
    other_name: str,
    other: Sequence[Row],
    same: Mapping[str, bool] | None = None,
) -> list[str]:
    """What the other run wins over the first by each selector of both, on the questions of both.

    `same` says of the ids of both runs whether they are the same question with the same gold
    answer; those that are not are left out.
    """
    others = {row.select: row for row in other}
    return _sentences(
        [
            pair_of(
                replace(row, select=f"{first_name}, {row.select}"),
                replace(others[row.select], select=f"{other_name}, {row.select}"),
                same,
            )
            for row in first
            if row.select in others
        ]
    )


def pair_of(first: Row, other: Row, same: Mapping[str, bool] | None = None) -> Pair:
    """The rows with what they are worth at their common questions."""
    verdicts = first.verdicts
    common = [
        (verdicts[key], value)
        for key, value in other.verdicts.items()
        if key in verdicts and (same is None or same.get(key, False))
    ]
    one, two = np.array(common, np.float64).reshape(-1, 2).T
    return Pair(first=first, other=other, first_worths=one, other_worths=two)


def _sentences(pairs: Sequence[Pair]) -> list[str]:
    compared = [pair for pair in pairs if len(pair.first_worths) >= FEWEST]
    corrected = holm([pair.p_value for pair in compared])
    return [_sentence(pair, p, len(compared)) for pair, p in zip(compared, corrected, strict=True)]


def _sentence(pair: Pair, p: float, count: int) -> str:
    """What the other wins over the first.

    The interval is of both selectors together: far narrower than the intervals of the two, for most
    of the spread between questions is the same for both. All intervals of a table hold together.
    """
    gain = pair.difference(1 - 0.05 / count)
    num = len(pair.first_worths)
    return (
        f"{pair.other.select}: {100 * gain.mean:+.1f} points over {pair.first.select} "
        f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f}, the same {num:,} questions; "
        f"{_chance(pair, p, count)})"
    )


def _chance(pair: Pair, p: float, count: int) -> str:
    only_other, only_first = discordant(
        *(
            np.array([known_as(worth, 0.0) for worth in worths.tolist()])
            for worths in (pair.other_worths, pair.first_worths)
        )
    )
    alone = f"right alone {only_other:,} to {only_first:,}"
    if not pair.is_known:
        return f"{alone}, and the grader could not say of some"
    if only_other + only_first < FEWEST_DIFFERENT:
        return f"{alone}, too few for a p-value"
    chance = f"p = {p:.2g}" if p >= LEAST_P else f"p < {LEAST_P:g}"
    return f"McNemar {chance}" + (f" of {count} comparisons" if count > 1 else "")


def winner_note(rows: Sequence[Row]) -> tuple[str, ...]:
    """Say that the best of several selectors is so by luck, too; nothing where few are graded."""
    graded = [row for row in rows if row.n_graded and not row.failed]
    if len(graded) < MANY_ROWS:
        return ()
    best = max(graded, key=lambda row: row.accuracy)
    return (
        f"{best.select} is the best of {len(graded)} on these questions, partly by luck: on others "
        "expect less than its figure",
    )
