"""A replay in words."""

from __future__ import annotations

import math

from nbest.experiments.analysis.replay.replay import Replay


def sentences(found: Replay, max_n: int) -> list[str]:
    """How right, how alike, how cheap, and, where that is known, how fast."""
    lines = [
        _accuracy(found, max_n),
        f"the answer of all {max_n} in {100 * found.agreement:.1f}% of the questions, "
        f"an answer in {100 * found.answered:.1f}%",
        f"{found.samples:.1f} samples and {found.tokens:,.0f} tokens a question instead of {max_n} "
        f"and {found.tokens_fixed:,.0f}: {100 * found.saving:.1f}% saved",
    ]
    if not math.isnan(found.seconds):
        lines.append(
            f"{found.seconds:.2f} s until the answer instead of {found.seconds_fixed:.2f} s"
        )
    return lines


def _accuracy(found: Replay, max_n: int) -> str:
    if math.isnan(found.accuracy):
        return "accuracy is not known, for no question has a gold answer"
    return (
        f"accuracy {found.accuracy:.4f} ({found.low:.3f} to {found.high:.3f}); "
        f"of all {max_n} in the same orders {found.accuracy_fixed:.4f}"
    )
