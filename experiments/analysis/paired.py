"""Two selectors on the same questions: what one wins over the other, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nbest.experiments.analysis.rows import Row
from nbest.scorers.estimators.paired import mcnemar, paired_difference

FEWEST = 2  # questions in common
LEAST_P = 1e-6  # smaller ones are printed as "less than this"


def paired_sentences(rows: Sequence[Row]) -> list[str]:
    """Compare each selector after the first with the first, a sentence each."""
    return [s for row in rows[1:] if (s := paired_sentence(rows[0], row)) is not None]


def paired_runs(
    first_name: str, first: Sequence[Row], other_name: str, other: Sequence[Row]
) -> list[str]:
    """What the other run wins over the first by each selector of both, on the questions of both."""
    others = {row.select: row for row in other}
    pairs = ((row, others[row.select]) for row in first if row.select in others)
    named = (
        paired_sentence(
            replace(one, select=f"{first_name}, {one.select}"),
            replace(two, select=f"{other_name}, {two.select}"),
        )
        for one, two in pairs
    )
    return [sentence for sentence in named if sentence is not None]


def paired_sentence(first: Row, other: Row) -> str | None:
    """What the other wins over the first; None where they have no questions in common.

    The interval is a bootstrap over questions, both selectors together: far narrower than the
    intervals of the two, for most of the spread between questions is the same for both.
    """
    verdicts = first.verdicts
    common = [(verdicts[key], value) for key, value in other.verdicts.items() if key in verdicts]
    if len(common) < FEWEST:
        return None
    one, two = np.array(common, np.float64).T
    gain, p = paired_difference(two, one), mcnemar(two, one)
    chance = f"p = {p:.3g}" if p >= LEAST_P else f"p < {LEAST_P:g}"
    return (
        f"{other.select}: {100 * gain.mean:+.1f} points over {first.select} "
        f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f}, the same {len(common):,} questions; "
        f"McNemar {chance})"
    )
