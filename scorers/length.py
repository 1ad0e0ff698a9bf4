"""The shortest or the longest sample.

Baselines, and in reasoning models more than that: among samples of one question the shorter ones
are often the better ones (Hassid et al. 2025, arXiv 2505.17813).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nbest.orchestrator.types import Candidates, Query, Sample, Scores


def lengths(samples: Sequence[Sample]) -> Scores:
    """[N] generated tokens; nan where a sample has no count while another one has.

    Where no sample has a count, as in a pool made elsewhere, characters of text stand in: tokens
    and characters are never compared with each other.
    """
    tokens = np.fromiter((s.generated_tokens for s in samples), np.float64, count=len(samples))
    if tokens.any():
        return np.where(tokens > 0, tokens, np.nan)
    return np.fromiter((len(s.text) for s in samples), np.float64, count=len(samples))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortest:
    """Prefers fewer generated tokens."""

    needs_logprobs: ClassVar[int | None] = None
    is_pointwise: ClassVar[bool] = True

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return -lengths(candidates.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Longest:
    """Prefers more generated tokens."""

    needs_logprobs: ClassVar[int | None] = None
    is_pointwise: ClassVar[bool] = True

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return lengths(candidates.samples)
