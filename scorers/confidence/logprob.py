"""How likely the model itself holds a sample to be.

The log-probabilities are those that the engine reports. vLLM's are of the model before temperature
and top-p, so they rank samples under temperature 1, whatever they were drawn with. They cover every
token that the engine returned: a reasoning block, and the end-of-sequence token where the engine
returns it, as vLLM does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query, Sample, Scores


def sum_logprob(samples: Sequence[Sample]) -> Scores:
    """[N] nats: log p(sample | prompt) before temperature; nan without finite log-probabilities.

    It falls with every token, so its argmax favours short samples. The end-of-sequence token is
    included where the engine returns it. The sum is correctly rounded, whatever the order.
    """
    return np.fromiter(map(_sum, samples), np.float64, count=len(samples))


def mean_logprob(samples: Sequence[Sample]) -> Scores:
    """[N] nats a token: `sum_logprob` over the number of tokens T, which evens out the lengths.

    The end-of-sequence token counts in T where the engine returns it; nan where T is 0.
    """
    return sum_logprob(samples) / _lengths(samples)


def length_penalised_logprob(samples: Sequence[Sample], alpha: float) -> Scores:
    """[N] `sum_logprob` over ((5 + T) / 6)^alpha (Wu et al. 2016, arXiv 1609.08144, equation 14).

    alpha = 0 is the sum; with 1 it ranks nearly as the mean. T includes the end-of-sequence token
    where the engine returns it.
    """
    return sum_logprob(samples) / ((5.0 + _lengths(samples)) / 6.0) ** alpha


def perplexity(samples: Sequence[Sample]) -> Scores:
    """[N] exp(-`mean_logprob`): at least 1, and lower is better."""
    with np.errstate(over="ignore"):  # a mean below -709 nats: infinitely perplexed is right
        return np.exp(-mean_logprob(samples))


def _lengths(samples: Sequence[Sample]) -> Scores:
    """[N] the numbers of tokens; 1 where there are none, whose sum is nan."""
    return np.asarray([len(sample.logprobs or ()) or 1 for sample in samples], np.float64)


def _sum(sample: Sample) -> float:
    if not sample.logprobs:
        return math.nan
    try:
        total = math.fsum(sample.logprobs)
    except (ValueError, OverflowError):  # inf and -inf together, or beyond the range of a float
        return math.nan
    # A token that was sampled had a finite log-probability: anything else is the engine's fault.
    return total if math.isfinite(total) else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanLogprob:
    """Scores a candidate by the mean log-probability of its tokens."""

    needs_logprobs: ClassVar[int | None] = 0
    is_pointwise: ClassVar[bool] = True
    score_bounds: ClassVar[tuple[float, float]] = (-math.inf, 0.0)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return mean_logprob(candidates.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class SumLogprob:
    """Scores a candidate by the sum of its log-probabilities, which favours short ones."""

    needs_logprobs: ClassVar[int | None] = 0
    is_pointwise: ClassVar[bool] = True
    score_bounds: ClassVar[tuple[float, float]] = (-math.inf, 0.0)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return sum_logprob(candidates.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthPenalisedLogprob:
    """Scores a candidate between the sum and the mean; alpha says how much length is forgiven."""

    needs_logprobs: ClassVar[int | None] = 0
    is_pointwise: ClassVar[bool] = True
    score_bounds: ClassVar[tuple[float, float]] = (-math.inf, 0.0)

    alpha: float = 0.6

    def __post_init__(self) -> None:
        require(0.0 <= self.alpha <= 2.0, "alpha", "lie in [0, 2]", self.alpha)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return length_penalised_logprob(candidates.samples, self.alpha)


@dataclass(frozen=True, slots=True, kw_only=True)
class Perplexity:
    """Scores a candidate by minus its perplexity.

    It chooses as `MeanLogprob` does; the numbers are those that papers report.
    """

    needs_logprobs: ClassVar[int | None] = 0
    is_pointwise: ClassVar[bool] = True
    score_bounds: ClassVar[tuple[float, float]] = (-math.inf, -1.0)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return -perplexity(candidates.samples)
