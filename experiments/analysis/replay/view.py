"""The sentences that `nbest replay` prints."""

from __future__ import annotations

import math

from nbest.experiments.analysis.replay.figures import Replay


def sentences(replay: Replay, max_n: int) -> list[str]:
    """Say how accurate and how cheap a replay is, how often it agrees and, if known, how fast."""
    lines = [
        *_accuracy(replay, max_n),
        f"the answer of all {max_n} in {100 * replay.agreement:.1f}% of the questions"
        f"{_percents(replay.agreement_low, replay.agreement_high)}, an answer in "
        f"{100 * replay.answered:.1f}%{_percents(replay.answered_low, replay.answered_high)}",
        f"{replay.samples:.1f} samples ({replay.samples_low:.1f} to {replay.samples_high:.1f}"
        f"{_started(replay)}){_tokens(replay, max_n)}",
    ]
    if not math.isnan(replay.seconds):
        lines.append(
            f"{replay.seconds:.2f} s until the answer ({replay.seconds_low:.2f} to "
            f"{replay.seconds_high:.2f}) instead of {replay.seconds_fixed:.2f} s"
        )
    return lines


def _percents(low: float, high: float) -> str:
    return f" ({100 * low:.0f} to {100 * high:.0f})"


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
    return f"; {replay.started:.1f} started" if replay.started > replay.samples else ""


def _tokens(replay: Replay, max_n: int) -> str:
    """The tokens and the saving, where the samples say how many tokens they have."""
    if math.isnan(replay.saving):
        return f" a question instead of {max_n}; how many tokens they have is not known"
    return (
        f" and {replay.tokens:,.0f} tokens a question instead of {max_n} and "
        f"{replay.tokens_fixed:,.0f}: {_saving(replay)}"
    )


def _saving(replay: Replay) -> str:
    """The saving, and what it would be if nothing were under way at the end."""
    text = f"{100 * replay.saving:.1f}% saved{_percents(replay.saving_low, replay.saving_high)}"
    if replay.tokens - replay.tokens_counted > 1e-9 * replay.tokens:
        text += f", {100 * replay.saving_counted:.1f}% but for what is aborted"
    return text
