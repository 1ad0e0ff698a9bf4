"""Selectors on the same questions: what one wins over another, in a sentence each.

The lines of a table are corrected together: with seven useless selectors beside the first, a claim
for any of them is wrong in one of twenty tables, not in one of five.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nbest.experiments.analysis.table.rows import Row, named_clusters
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.paired import (
    FEWEST_DIFFERENT,
    Difference,
    discordant,
    holm,
    paired_difference,
    paired_p_value,
)

FEWEST = 2  # questions in common
LEVEL = 0.05  # of a claim
LEAST_P = 1e-6  # smaller ones are printed as "less than this"
MANY_ROWS = 3  # from here on the best of a table is partly the luckiest


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two rows, and what both are worth at the questions that they share [Q]: nan if unknown."""

    first: Row
    other: Row
    first_worths: Scores
    other_worths: Scores
    clusters: list[str] | None = None  # [Q] the templates of the questions, if the data name them

    @property
    def is_known(self) -> bool:
        return not bool(np.isnan(self.first_worths).any() or np.isnan(self.other_worths).any())

    @property
    def p_value(self) -> float:
        """That of both being worth the same, whatever nobody knows; 1 where too few differ."""
        least, most = self._extremes()
        gains = [float((two - one).sum()) for two, one in (least, most)]
        if min(gains) < 0 < max(gains):
            return 1.0
        return max(self._p_value(*least), self._p_value(*most))

    def _p_value(self, other: Scores, first: Scores) -> float:
        if self.different(other, first) < FEWEST_DIFFERENT:
            return 1.0
        return paired_p_value(other, first, self.clusters)

    def different(self, other: Scores, first: Scores) -> int:
        """How many questions, or templates, have a different worth."""
        differ = other != first
        if self.clusters is None:
            return int(differ.sum())
        return len({name for name, d in zip(self.clusters, differ.tolist(), strict=True) if d})

    def difference(self, confidence: float) -> Difference:
        """What the other wins; what nobody knows counts against it below, and for it above."""
        mean = paired_difference(
            _filled(self.other_worths, 0.0),
            _filled(self.first_worths, 0.0),
            confidence,
            self.clusters,
        )
        if self.is_known:
            return mean
        least, most = (
            paired_difference(two, one, confidence, self.clusters) for two, one in self._extremes()
        )
        return Difference(mean.mean, least.low, most.high)

    def _extremes(self) -> tuple[tuple[Scores, Scores], tuple[Scores, Scores]]:
        """The worths of the other and the first where it wins least, and where it wins most."""
        return (
            (_filled(self.other_worths, 0.0), _filled(self.first_worths, 1.0)),
            (_filled(self.other_worths, 1.0), _filled(self.first_worths, 0.0)),
        )


def _filled(worths: Scores, unknown: float) -> Scores:
    return np.where(np.isnan(worths), unknown, worths)


def paired_sentences(rows: Sequence[Row]) -> list[str]:
    """Compare each selector after the first with the first, a sentence each."""
    return [line.sentence() for line in compared([pair_of(rows[0], row) for row in rows[1:]])]


def run_pairs(
    first_name: str,
    first: Sequence[Row],
    other_name: str,
    other: Sequence[Row],
    same: Mapping[str, bool] | None = None,
) -> list[Pair]:
    """Pair the selectors that two runs share, on the questions of both.

    `same` says of the ids of both runs whether they are the same question with the same gold
    answer; those that are not are left out.
    """
    others = {row.select: row for row in other}
    return [
        pair_of(
            replace(row, select=f"{first_name}, {row.select}"),
            replace(others[row.select], select=f"{other_name}, {row.select}"),
            same,
        )
        for row in first
        if row.select in others
    ]


def pair_of(first: Row, other: Row, same: Mapping[str, bool] | None = None) -> Pair:
    """The rows with what they are worth at their common questions."""
    one, two = first.verdicts, other.verdicts
    common = [key for key in two if key in one and (same is None or same.get(key, False))]
    worths = np.array([(one[key], two[key]) for key in common], np.float64).reshape(-1, 2)
    answer, others = first.answers, other.answers
    is_same = np.array([answer[key] == others[key] for key in common], np.bool_)
    # The same answer wins nothing over itself, whatever it is worth.
    worths[is_same & np.isnan(worths).all(axis=1)] = 0.0
    clusters, more = first.clusters, other.clusters
    return Pair(
        first=first,
        other=other,
        first_worths=worths[:, 0],
        other_worths=worths[:, 1],
        clusters=named_clusters([clusters[key] or more[key] for key in common]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A comparison of a table, corrected together with its others.

    The interval is of both selectors together: far narrower than the intervals of the two, for most
    of the spread between questions is the same for both. All intervals of a table hold together.
    """

    pair: Pair
    gain: Difference
    p_value: float
    count: int  # comparisons of the table

    @property
    def is_claim(self) -> bool:
        """Whether it says that one of the two is better."""
        return self.p_value <= LEVEL

    def sentence(self) -> str:
        """Say what the other wins over the first, and how sure that is."""
        pair, gain = self.pair, self.gain
        return (
            f"{pair.other.select}: {100 * gain.mean:+.1f} points over {pair.first.select} "
            f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f}, the same "
            f"{len(pair.first_worths):,} questions; {_chance(pair, self.p_value, self.count)})"
        )


def compared(pairs: Sequence[Pair]) -> list[Line]:
    """Judge the comparisons of a table together; without questions in common there is none."""
    pairs = [pair for pair in pairs if len(pair.first_worths) >= FEWEST]
    corrected = holm([pair.p_value for pair in pairs])
    return [
        Line(
            pair=pair,
            gain=agreeing(pair.difference(1 - LEVEL / len(pairs)), p),
            p_value=p,
            count=len(pairs),
        )
        for pair, p in zip(pairs, corrected, strict=True)
    ]


def agreeing(gain: Difference, p: float) -> Difference:
    """The interval, with 0 inside where the test claims nothing, and at its end at most if it does.

    The test is corrected step by step, and the intervals all at once: an interval that ends at 0
    is what goes with such a test (Guilbaud 2008).
    """
    if p > LEVEL:
        return gain._replace(low=min(gain.low, 0.0), high=max(gain.high, 0.0))
    if gain.mean > 0:
        return gain._replace(low=max(gain.low, 0.0))
    return gain._replace(high=min(gain.high, 0.0))


def _chance(pair: Pair, p: float, count: int) -> str:
    worths = _filled(pair.other_worths, 0.0), _filled(pair.first_worths, 0.0)
    only_other, only_first = discordant(*worths)
    alone = f"right alone {only_other:,} to {only_first:,}"
    chance = f"p = {p:.2g}" if p >= LEAST_P else f"p < {LEAST_P:g}"
    if count > 1:
        chance += f" of {count} comparisons"
    if not pair.is_known:
        unknown = f"{alone}, and the grader could not say of some"
        return unknown if p == 1.0 else f"{unknown}: at worst {chance}"
    if pair.different(*worths) < FEWEST_DIFFERENT:
        return f"{alone}, too few for a p-value"
    if pair.clusters is None:
        return f"McNemar {chance}"
    return f"{len(set(pair.clusters)):,} templates, {chance}"


def winner_note(rows: Sequence[Row]) -> tuple[str, ...]:
    """Say that the best of several selectors is so by luck, too; nothing where few are graded."""
    graded = [row for row in rows if row.n_graded and not row.failed]
    best = max(graded, key=lambda row: row.accuracy, default=None)
    if best is None or len(graded) < MANY_ROWS:
        return ()
    if sum(row.accuracy == best.accuracy for row in graded) > 1:
        return ()  # none is the best
    return (
        f"{best.select} is the best of {len(graded)} on these questions, partly by luck: on others "
        "expect less than its figure",
    )
