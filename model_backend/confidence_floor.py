"""Watches the confidence of a sample while it is generated, so that a hopeless one can be ended.

Fu et al. 2025, "Deep Think with Confidence" (arXiv 2508.15260), section 3.2. The confidence of a
position is minus the mean log-probability of its k likeliest tokens. A sample falls when the mean
over a whole window of positions is below the level.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from nbest.orchestrator.sampling_params import ConfidenceFloor


class FloorWatch:
    """Watches the confidence of one sample, position by position."""

    def __init__(self, floor: ConfidenceFloor) -> None:
        self._floor = floor
        self._recent: deque[float] = deque(maxlen=floor.window)
        self._sum = 0.0
        self.seen = 0  # positions so far
        self.fell = False

    def add(self, likeliest: Sequence[float]) -> None:
        """Take in the next position: log-probabilities in nats, the k likeliest tokens first."""
        confidence = -sum(likeliest[: self._floor.k]) / self._floor.k
        if len(self._recent) == self._floor.window:
            self._sum -= self._recent[0]
        self._recent.append(confidence)
        self._sum += confidence
        self.seen += 1
        if len(self._recent) == self._floor.window:
            self.fell = self.fell or self._sum / self._floor.window < self._floor.level


def falls_after(floor: ConfidenceFloor, positions: Iterable[Sequence[float]]) -> int | None:
    """Return after how many positions a sample falls; None if it does not."""
    watch = FloorWatch(floor)
    for likeliest in positions:
        watch.add(likeliest)
        if watch.fell:
            return watch.seen
    return None
