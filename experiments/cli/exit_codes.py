"""What the exit status of `nbest` says, and when questions that failed make a run fail."""

from __future__ import annotations

import math
from enum import IntEnum

from nbest.orchestrator.errors import InputError


class Exit(IntEnum):
    """The exit statuses."""

    OK = 0
    FAILED = 1
    WRONG_INPUT = 2
    SOME_ERRORS = 3
    INTERRUPTED = 75  # EX_TEMPFAIL: the same command goes on where this one stopped


def tolerated_errors(text: str, num_queries: int) -> int:
    """How many questions may end in error: `true` none, `false` all, a share, or a count."""
    rule = "be true, false, a share below 1 or a count"
    if text.lower() in ("true", "false"):
        return 0 if text.lower() == "true" else num_queries
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"--fail-on-error must {rule}, got {text!r}") from None
    if not 0 <= value < math.inf or (value >= 1 and value != int(value)):
        raise InputError(f"--fail-on-error must {rule}, got {text!r}")
    if value >= 1:
        return int(value) - 1
    return int(value * num_queries + 1e-9)  # as a float, 0.29 * 100 is a little less than 29
