"""What a tree has come to: the samples that a selector chooses among, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from nbest.orchestrator.protocols import Sampler
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.types import Query, Sample, Scores, Selection

WEIGHT = "search"
"""The name of the score that chains come with, for `StoredScore`: what the search makes of them."""

NO_CHAIN = Selection(
    index=None, answer=None, samples=(), scores=np.array([], np.float64), confidence=float("nan")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """What the tree of a question came to."""

    chains: tuple[Sample, ...]  # [N] that have ended
    weights: Scores  # [N] what the search makes of each
    tokens: int  # generated for the whole tree, each step once
    pruned_tokens: int  # of these, on none of the chains
    # [N] what each chain says after each of its steps; empty where there are no steps
    prefixes: tuple[tuple[str, ...], ...] = ()


class GrowsTree(Protocol):
    """A strategy whose samples are nodes of a tree, or chains of them."""

    @property
    def n(self) -> int:
        """How many answers it begins with."""
        ...

    async def grown(self, query: Query, sampler: Sampler) -> Grown:
        """Grow the tree of a question: what is chosen from, whatever the selector."""
        ...


async def chosen_among(choice: Choice, query: Query, grown: Grown, sampler: Sampler) -> Selection:
    """Choose among the chains of a tree, which come with the weights that it gave them."""
    if not grown.chains:
        return replace(NO_CHAIN, pruned_tokens=grown.pruned_tokens)
    candidates = await choice.candidates(query, grown.chains, sampler)
    selection = await choice.of_candidates(
        query, replace(candidates, scores={WEIGHT: grown.weights})
    )
    return replace(selection, pruned_tokens=grown.pruned_tokens)
