"""Thresholds of confidence as users write them: `0.7`, or `0.7@16` if fitted with 16 samples."""

from __future__ import annotations

import re
from typing import NamedTuple

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.requirements import require_share

_FORM = re.compile(r"(?P<share>[0-9]*\.?[0-9]+(?:[eE]-?[0-9]+)?)(?:@(?P<n>[1-9][0-9]{0,6}))?")


class Threshold(NamedTuple):
    """The least confidence of an answer, and with how many samples a question it was fitted.

    A guarantee holds for as many samples alone: the share of equal answers among 4 is another
    number than among 64.
    """

    share: float
    n: int | None = None

    def __str__(self) -> str:
        return f"{self.share:g}" + ("" if self.n is None else f"@{self.n}")

    def require_samples(self, n: int, where: str) -> None:
        """Raise InputError unless as many samples ended as it was fitted with.

        One that failed has no vote: of 64 samples of which 60 failed, the confidence is of 4.
        """
        if self.n is not None and n != self.n:
            rule = f"be used with {self.n} samples a question, as it was fitted"
            raise InputError(f"min_confidence {self} must {rule}, {where} has {n} that ended")


def read_threshold(value: str | float) -> Threshold:
    """Read a threshold; InputError where it is none."""
    match = _FORM.fullmatch(str(value).strip())
    if match is None:
        rule = "be a share, as 0.7, or 0.7@16 for one that was fitted with 16 samples"
        raise InputError(f"min_confidence must {rule}, got {value!r}")
    threshold = Threshold(float(match["share"]), int(match["n"]) if match["n"] else None)
    require_share("min_confidence", threshold.share)
    return threshold
