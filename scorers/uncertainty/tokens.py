"""Uncertainties that read the tokens of the samples: their number, and how likely they were.

Log-probabilities are those before temperature, reasoning included; nan where none are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nbest.orchestrator.types import Candidates, Query, Sample, Scores
from nbest.scorers.confidence.logprob import mean_logprob, sum_logprob


def answered(candidates: Candidates) -> list[Sample]:
    """The samples that hold an answer."""
    pairs = zip(candidates.samples, candidates.answers, strict=True)
    return [sample for sample, answer in pairs if answer is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanLength:
    """The mean number of tokens of the samples that hold an answer: what is hard takes longer.

    With the vote share it is the baseline that every other uncertainty has to beat.
    """

    needs_logprobs: ClassVar[int | None] = None

    async def __call__(self, query: Query, candidates: Candidates) -> float:
        lengths = [sample.generated_tokens for sample in answered(candidates)]
        return float(np.mean(lengths)) if any(lengths) else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictiveEntropy:
    """The mean of -log p of the samples in nats (Malinin and Gales 2021), an estimate of entropy.

    With `per_token` that of -log p over the number of tokens, which evens out the lengths.
    """

    needs_logprobs: ClassVar[int | None] = 0

    per_token: bool = True

    async def __call__(self, query: Query, candidates: Candidates) -> float:
        samples = answered(candidates)
        return _mean(-(mean_logprob(samples) if self.per_token else sum_logprob(samples)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEntropy:
    """The mean entropy in nats at a token, of its k likeliest tokens and all others as one."""

    needs_logprobs: ClassVar[int | None] = 5

    async def __call__(self, query: Query, candidates: Candidates) -> float:
        return _mean_of_tokens(candidates, entropies_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMargin:
    """1 less how far the likeliest token is ahead of the second, in the mean over all tokens."""

    needs_logprobs: ClassVar[int | None] = 5

    async def __call__(self, query: Query, candidates: Candidates) -> float:
        return _mean_of_tokens(candidates, _closeness)


def _mean_of_tokens(candidates: Candidates, of: Callable[[Scores], Scores]) -> float:
    values = [of(top) for top in _tops(candidates)]
    return float(np.mean(np.concatenate(values))) if values else math.nan


def _tops(candidates: Candidates) -> Iterator[Scores]:
    """[T, k] the probabilities of the likeliest tokens of each sample that keeps them."""
    for sample in answered(candidates):
        if sample.top_logprobs is not None:
            yield np.sort(np.exp(sample.top_logprobs.array().astype(np.float64)), axis=1)[:, ::-1]


def entropies_of(top: Scores) -> Scores:
    """[T] entropy in nats of [T, k] probabilities, all other tokens taken as one."""
    rest = np.clip(1.0 - top.sum(axis=1, keepdims=True), 0.0, 1.0)
    whole = np.concatenate([top, rest], axis=1)
    entropies: Scores = -np.sum(whole * np.log(np.where(whole > 0, whole, 1.0)), axis=1)
    return entropies


def _closeness(top: Scores) -> Scores:
    """[T] of [T, k]"""
    second = top[:, 1] if top.shape[1] > 1 else 1.0 - top[:, 0]
    closeness: Scores = 1.0 - (top[:, 0] - second)
    return closeness


def _mean(values: Scores) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan
