"""Baselines: the first sample, one at random, the shortest and the longest.

The first two are one sample alone, so both cost and score what no selection at all would.
Randomness is a hash: the same in every process, on every machine, in any order. Length is more than
a baseline in reasoning models: among samples of one question the shorter ones are often the better
ones (Hassid et al. 2025, arXiv 2505.17813).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nbest.orchestrator.types import Candidates, Query, Sample, Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """Scores all candidates alike, so that the lowest index that has an answer is chosen."""

    needs_logprobs: ClassVar[int | None] = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return np.zeros(len(candidates))


@dataclass(frozen=True, slots=True, kw_only=True)
class Random:
    """Scores each candidate by a hash of (seed, query id, sample id)."""

    needs_logprobs: ClassVar[int | None] = None

    seed: int = 0

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        numbers = (uniform_hash(self.seed, query.id, s.id) for s in candidates.samples)
        return np.fromiter(numbers, np.float64, count=len(candidates))


def uniform_hash(seed: int, query_id: str, sample_id: str) -> float:
    """A hash of the arguments as a number in [0, 1), spread uniformly."""
    # JSON keeps ("a", "bc") and ("ab", "c") apart, and any text becomes ASCII.
    key = json.dumps([seed, query_id, sample_id]).encode()
    bits = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())
    return (bits >> 11) * 2.0**-53  # 53 bits, which a float64 holds exactly


def lengths(samples: Sequence[Sample]) -> Scores:
    """[N] generated tokens; nan where a sample has no count while another one has.

    Where no sample has a count, as in a pool made elsewhere, characters of text stand in: tokens
    and characters are never compared with each other.
    """
    tokens = [s.generated_tokens for s in samples]
    if any(tokens):
        return np.array([count or math.nan for count in tokens], np.float64)
    return np.array([len(s.text) for s in samples], np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortest:
    """Prefers fewer generated tokens."""

    needs_logprobs: ClassVar[int | None] = None
    is_pointwise: ClassVar[bool] = True
    score_bounds: ClassVar[tuple[float, float]] = (-math.inf, 0.0)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return -lengths(candidates.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Longest:
    """Prefers more generated tokens."""

    needs_logprobs: ClassVar[int | None] = None
    is_pointwise: ClassVar[bool] = True
    score_bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return lengths(candidates.samples)
