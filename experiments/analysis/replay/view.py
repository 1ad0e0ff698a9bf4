"""The sentences that `nbest replay` prints."""

from __future__ import annotations

import math

from nbest.experiments.analysis.replay.replay import Replay


def sentences(replay: Replay, max_n: int) -> list[str]:
    """Say how accurate and how cheap a replay is, how often it agrees and, if known, how fast."""
    lines = [
        *_accuracy(replay, max_n),
        f"the answer of all {max_n} in {100 * replay.agreement:.1f}% of the questions, "
        f"an answer in {100 * replay.answered:.1f}%",
        f"{replay.samples:.1f} samples{_started(replay)} and {replay.tokens:,.0f} tokens a "
        f"question instead of {max_n} and {replay.tokens_fixed:,.0f}: {_saving(replay)}",
    ]
    if not math.isnan(replay.seconds):
        lines.append(
            f"{replay.seconds:.2f} s until the answer instead of {replay.seconds_fixed:.2f} s"
        )
    return lines


def _accuracy(replay: Replay, max_n: int) -> list[str]:
    if math.isnan(replay.accuracy):
        return ["accuracy is not known, for no question has a gold answer"]
    gain, low, high = (100 * v for v in (replay.gain, replay.gain_low, replay.gain_high))
    error = 100 * replay.accuracy_error
    orders = "" if math.isnan(error) else f"; the orders add an error of {error:.2f}"
    return [
        f"accuracy {replay.accuracy:.3f} ({replay.low:.2f} to {replay.high:.2f})",
        f"{gain:+.2f} points over all {max_n} in the same orders, {replay.accuracy_fixed:.3f} "
        f"({low:+.1f} to {high:+.1f}{orders})",
    ]


def _started(replay: Replay) -> str:
    """How many were started, where some of them were aborted."""
    return f" ({replay.started:.1f} started)" if replay.started > replay.samples else ""


def _saving(replay: Replay) -> str:
    """The saving, and what it would be if nothing were under way at the end."""
    low, high = 100 * replay.saving_low, 100 * replay.saving_high
    text = f"{100 * replay.saving:.1f}% saved ({low:.0f} to {high:.0f})"
    if replay.tokens - replay.tokens_counted > 1e-9 * replay.tokens:
        text += f", {100 * replay.saving_counted:.1f}% but for what is aborted"
    return text
