"""DeepConf: how confident the model was while it wrote a trace, and where it was least so.

Fu et al. 2025 (arXiv 2508.15260), section 3. The confidence of a position is minus the mean
log-probability of its k likeliest tokens: high where a few tokens have nearly all the probability.
The end-of-sequence position counts where the engine returns it. vLLM's log-probabilities are those
before temperature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query, Sample, Scores
from nbest.scorers.confidence.self_certainty import likeliest

Floats = NDArray[np.float64]
Measure = Literal["mean", "tail", "lowest", "bottom"]

BOTTOM = 0.1  # the share of the windows that `bottom` looks at


def token_confidence(logprobs: NDArray[np.float32]) -> Floats:
    """[T] nats from [T, k]: minus the mean over the k likeliest tokens."""
    means: Floats = logprobs.mean(axis=1, dtype=np.float64)
    return -means


def window_means(confidence: Floats, window: int) -> Floats:
    """The means of all windows of `window` neighbouring positions, stride 1.

    [T - window + 1] from [T], in O(T). A trace that is shorter than the window is one window.
    """
    length = min(window, len(confidence))
    if length == 0:
        return np.empty(0, np.float64)
    # Sums relative to the mean stay small, so that the differences of them lose nothing.
    middle = confidence.mean()
    sums = np.concatenate(([0.0], np.cumsum(confidence - middle)))
    means: Floats = middle + (sums[length:] - sums[:-length]) / length
    return means


def trace_confidence(confidence: Floats, measure: Measure, window: int) -> float:
    """One number for a trace [T], in nats; nan for an empty one.

    `mean`: the mean of all positions. `tail`: that of the last `window` positions. `lowest`: that
    of the least confident window. `bottom`: the mean of the lowest 10% of the window means.
    """
    if len(confidence) == 0:
        return math.nan
    if measure == "mean":
        return float(confidence.mean())
    if measure == "tail":
        return float(confidence[-window:].mean())
    means = window_means(confidence, window)
    if measure == "lowest":
        return float(means.min())
    count = max(1, int(len(means) * BOTTOM))
    return float(np.partition(means, count - 1)[:count].mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """Scores a candidate by the confidence of its trace.

    Example: `WeightedVote(by=Confidence(measure="tail"))` is the offline vote of the paper.
    """

    is_pointwise: ClassVar[bool] = True

    measure: Measure = "bottom"
    window: int = 2048  # positions
    k: int = 20

    def __post_init__(self) -> None:
        measures = ("mean", "tail", "lowest", "bottom")
        rule = f"be one of {', '.join(measures)}"
        require(self.measure in measures, "measure", rule, self.measure)
        require(self.window >= 1, "window", "be at least 1", self.window)
        require(1 <= self.k <= 20, "k", "lie in 1..20", self.k)

    @property
    def needs_logprobs(self) -> int | None:
        return self.k

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        scores = (self._score(sample) for sample in candidates.samples)
        return np.fromiter(scores, np.float64, count=len(candidates))

    def _score(self, sample: Sample) -> float:
        top = likeliest(sample, self.k)
        if top is None:
            return math.nan
        return trace_confidence(token_confidence(top), self.measure, self.window)
