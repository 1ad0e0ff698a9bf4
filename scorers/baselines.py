"""The two baselines that look at no sample: the first one, and one at random.

Each is one sample alone, so both cost and score what no selection at all would. Randomness is a
hash: the same in every process, on every machine, in any order.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nbest.orchestrator.types import Candidates, Query, Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """Scores all alike, so that the lowest index that has an answer is chosen."""

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
    """A number in [0, 1), uniform over its arguments."""
    # JSON keeps ("a", "bc") and ("ab", "c") apart, and any text becomes ASCII.
    key = json.dumps([seed, query_id, sample_id]).encode()
    bits = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())
    return (bits >> 11) * 2.0**-53  # 53 bits, which a float64 holds exactly
