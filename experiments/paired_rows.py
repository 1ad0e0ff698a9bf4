"""Two selectors on the same questions: what one wins over the other, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.evaluate import Row
from scorers.paired import mcnemar, paired_difference

FEWEST = 2  # questions in common


def paired_sentences(rows: Sequence[Row]) -> list[str]:
    """One for each selector after the first, against the first."""
    return [s for row in rows[1:] if (s := paired_sentence(rows[0], row)) is not None]


def paired_sentence(first: Row, other: Row) -> str | None:
    """What the other wins over the first; None where they have no questions in common.

    The interval is a bootstrap over questions, both selectors together: far narrower than the
    intervals of the two, for most of the spread between questions is the same for both.
    """
    verdicts = dict(first.verdicts)
    common = [(verdicts[key], value) for key, value in other.verdicts if key in verdicts]
    if len(common) < FEWEST:
        return None
    one, two = np.array(common, np.float64).T
    gain = paired_difference(two, one)
    return (
        f"{other.select}: {100 * gain.mean:+.1f} points over {first.select} "
        f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f}, the same {len(common):,} questions; "
        f"McNemar p = {mcnemar(two, one):.3g})"
    )
