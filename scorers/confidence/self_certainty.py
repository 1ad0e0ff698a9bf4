"""Self-certainty: how far the model's predictions are from a uniform guess.

Kang et al. 2025 (arXiv 2502.18581), section 3. It looks at all tokens that the model held likely at
each position, not at those that were drawn; the end-of-sequence position counts where the engine
returns it. vLLM's log-probabilities are those before temperature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query, Sample, Scores


def self_certainty(logprobs: NDArray[np.float32]) -> float:
    """The mean over positions of KL(uniform || p), in nats; 0 for a uniform p, and no upper limit.

    `logprobs` is [T, k], nats. With all V tokens of the vocabulary (k = V) this is the measure
    of the paper. With the k likeliest ones it is a stand-in: they are made to sum to 1, and the
    uniform guess is one among k. Nan without positions.

    >>> self_certainty(np.log(np.full((3, 4), 0.25, np.float32)))
    0.0
    """
    if logprobs.size == 0:
        return math.nan
    exact = logprobs.astype(np.float64)
    # log of what the k tokens have together; 0 where they are the whole vocabulary
    total = np.logaddexp.reduce(exact, axis=1)
    return float(np.mean(total - exact.mean(axis=1) - math.log(exact.shape[1])))


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCertainty:
    """Scores a candidate by its self-certainty over the k likeliest tokens of each position."""

    is_pointwise: ClassVar[bool] = True

    k: int = 20

    def __post_init__(self) -> None:
        require(2 <= self.k <= 20, "k", "lie in 2..20", self.k)

    @property
    def needs_logprobs(self) -> int | None:
        return self.k

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        scores = (self._score(sample) for sample in candidates.samples)
        return np.fromiter(scores, np.float64, count=len(candidates))

    def _score(self, sample: Sample) -> float:
        top = likeliest(sample, self.k)
        return math.nan if top is None else self_certainty(top)


def likeliest(sample: Sample, k: int) -> NDArray[np.float32] | None:
    """[T, k] the log-probabilities of the k likeliest tokens of each position.

    None where the sample has none, has fewer than k of them, or has some that are not finite.
    """
    if sample.top_logprobs is None or sample.top_logprobs.k < k:
        return None
    top = sample.top_logprobs.array()[:, :k]
    return top if len(top) and np.isfinite(top).all() else None
