"""The sentences that `nbest replay` prints."""

from __future__ import annotations

import math

from nbest.experiments.analysis.replay.replay import Replay


def sentences(replay: Replay, max_n: int) -> list[str]:
    """Say how accurate and how cheap a replay is, how often it agrees and, if known, how fast."""
    lines = [
        _accuracy(replay, max_n),
        f"the answer of all {max_n} in {100 * replay.agreement:.1f}% of the questions, "
        f"an answer in {100 * replay.answered:.1f}%",
        f"{replay.samples:.1f} samples and {replay.tokens:,.0f} tokens a question "
        f"instead of {max_n} and {replay.tokens_fixed:,.0f}: {100 * replay.saving:.1f}% saved",
    ]
    if not math.isnan(replay.seconds):
        lines.append(
            f"{replay.seconds:.2f} s until the answer instead of {replay.seconds_fixed:.2f} s"
        )
    return lines


def _accuracy(replay: Replay, max_n: int) -> str:
    if math.isnan(replay.accuracy):
        return "accuracy is not known, for no question has a gold answer"
    return (
        f"accuracy {replay.accuracy:.4f} ({replay.low:.3f} to {replay.high:.3f}); "
        f"of all {max_n} in the same orders {replay.accuracy_fixed:.4f}"
    )
