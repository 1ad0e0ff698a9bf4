"""What a tree has come to: the samples that a selector chooses among, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nbest.orchestrator.protocols import NodeSampler, Sampler
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Path, Query, Sample, Scores, Selection

WEIGHT = "search"
"""The name of the score that chains come with, for `StoredScore`: what the search makes of them."""

NO_CHAIN = Selection(
    index=None, answer=None, samples=(), scores=np.array([], np.float64), confidence=float("nan")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownNode:
    """A step that a search has drawn, and how its scorer rated the answer up to there."""

    path: Path
    text: str
    score: float  # nan where it was not rated
    tokens: int  # generated for it
    has_ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """What the tree of a question came to."""

    chains: tuple[Sample, ...]  # [N] that have ended
    weights: Scores  # [N] what the search makes of each
    tokens: int  # generated for the whole tree, each step once
    pruned_tokens: int  # of these, on none of the chains
    steps: tuple[
        tuple[str, ...], ...
    ] = ()  # [N] what the steps of each chain say, where it has any
    paths: tuple[Path, ...] = ()  # [N] the node at which each chain ends, where it has any
    nodes: tuple[GrownNode, ...] = ()  # all that a search has drawn, by path


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeStrategy(Choice):
    """A strategy whose samples are nodes of a tree, or chains of them.

    Each draws in its own way; all choose among what has grown, by any selector.
    """

    async def __call__(self, query: Query, sampler: Sampler) -> Selection:
        rule = "be one that draws the nodes of a tree"
        require(isinstance(sampler, NodeSampler), "sampler", rule, type(sampler).__name__)
        assert isinstance(sampler, NodeSampler)
        grown = await self.grown(query, sampler)
        if not grown.chains:
            return replace(NO_CHAIN, pruned_tokens=grown.pruned_tokens)
        candidates = await self.candidates(query, grown.chains, sampler)
        weighted = replace(candidates, scores={WEIGHT: grown.weights})
        selection = await self.of_candidates(query, weighted)
        return replace(selection, pruned_tokens=grown.pruned_tokens)

    async def grown(self, query: Query, sampler: NodeSampler) -> Grown:
        """Grow the tree of a question: what is chosen from, whatever the selector."""
        raise NotImplementedError
