"""How sure a model was of its tokens: whether it has learned the task at all."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nbest.orchestrator.types import Sample
from nbest.scorers.uncertainty.tokens import entropies_of

SURE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Means over all tokens of some samples; nan where no probabilities are kept.

    Probabilities are those before temperature. `entropy` is that of the k likeliest tokens with all
    others as one: never more than the entropy itself.
    """

    tokens: int
    mean_p: float  # of the drawn token
    sure: (
        float  # share of positions whose likeliest token has more than .9; of the drawn, without k
    )
    entropy: float  # nats

    def sentence(self) -> str:
        """Say it in one line; empty where nothing is known."""
        if not self.tokens or math.isnan(self.mean_p):
            return ""
        parts = [f"mean probability of a token {self.mean_p:.2f}"]
        parts.append(f"{self.sure:.0%} of positions above .9")
        if not math.isnan(self.entropy):
            parts.append(f"entropy {self.entropy:.2f} nats or more")
        return ", ".join(parts) + f" ({self.tokens:,} tokens, before temperature)"


def health(samples: Iterable[Sample]) -> Health:
    """Sum up the probabilities of samples that keep them."""
    drawn: list[float] = []
    likeliest: list[float] = []
    entropies: list[float] = []
    for sample in samples:
        if sample.logprobs is None:
            continue
        p = np.exp(np.asarray(sample.logprobs, np.float64))
        drawn += p.tolist()
        if sample.top_logprobs is None:
            likeliest += p.tolist()
            continue
        top = np.exp(sample.top_logprobs.array().astype(np.float64))
        likeliest += top.max(axis=1).tolist()
        entropies += entropies_of(top).tolist()
    return Health(
        tokens=len(drawn),
        mean_p=float(np.mean(drawn)) if drawn else math.nan,
        sure=float(np.mean(np.array(likeliest) > SURE)) if likeliest else math.nan,
        entropy=float(np.mean(entropies)) if entropies else math.nan,
    )
