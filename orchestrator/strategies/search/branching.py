"""Adaptive branching: a new answer, or a revision of an old one, by what has paid so far.

AB-MCTS, the variant A of Inoue et al. 2025 (arXiv 2503.04412, algorithm 1): Thompson sampling at
every node between drawing anew there and going on below one of its children.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nbest.orchestrator.requirements import require
from nbest.orchestrator.strategies.search.plan import Leaf, Node, Plan, generator
from nbest.orchestrator.types import Path

# The prior of the mean and the variance of scores: normal-inverse-chi-squared.
MEAN, MEAN_COUNT, DEGREES, VARIANCE = 0.0, 1.0, 1.0, 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveBranching:
    """Draw n answers in all, each of them anew or as a revision of another.

    Scores should lie between 0 and 1, as the prior has them.

    Example: `AdaptiveBranching(n=16)`
    """

    n: int

    def __post_init__(self) -> None:
        require(self.n >= 1, "n", "be at least 1", self.n)

    def plans(self, key: str) -> tuple[Plan, ...]:
        """One plan."""
        return (Branching(self.n, key),)


@dataclass(slots=True)
class _Branch:
    """A node of the tree, and the scores of what was drawn at it and below it."""

    path: Path
    is_closed: bool = False  # nothing is drawn below it
    children: list[_Branch] = field(default_factory=list)
    anew: list[float] = field(default_factory=list)  # of its children, when they were drawn
    below: list[float] = field(default_factory=list)  # of what was drawn below its children
    own: list[float] = field(default_factory=list)  # of itself, and of all below it


class Branching:
    """The plan of `AdaptiveBranching`: one answer after the other."""

    def __init__(self, n: int, key: str) -> None:
        self._n = n
        self._key = key
        self._root = _Branch(())
        self._branches: dict[Path, _Branch] = {(): self._root}
        self._leaves: list[Leaf] = []
        self._is_waiting = False
        self._tells = 0

    def ask(self) -> Sequence[Path] | None:
        """The next answer, once the last one has been told."""
        if self._is_waiting:
            return ()
        if self._tells == self._n:
            return None
        rng = generator(self._key, self._tells)
        branch = self._root
        while (deeper := _deeper(branch, rng)) is not None:
            branch = deeper
        self._is_waiting = True
        return [(*branch.path, len(branch.children))]

    def tell(self, path: Path, node: Node) -> None:
        """Take an answer in, and its score into all branches above it."""
        self._is_waiting = False
        self._tells += 1
        score = node.score if math.isfinite(node.score) else 0.0
        branch = _Branch(path, is_closed=node.has_ended, own=[score])
        parent = self._branches[path[:-1]]
        parent.children.append(branch)
        parent.anew.append(score)
        for length in range(len(path) - 1):
            self._branches[path[:length]].below.append(score)
        for length in range(1, len(path)):
            self._branches[path[:length]].own.append(score)
        self._branches[path] = branch
        self._leaves.append(Leaf(path=path, weight=node.score))

    def leaves(self) -> Sequence[Leaf]:
        """All answers."""
        return self._leaves


def _deeper(branch: _Branch, rng: np.random.Generator) -> _Branch | None:
    """The child to go on below; None where a new one is to be drawn."""
    open_children = [child for child in branch.children if not child.is_closed]
    if not open_children or drawn_score(branch.anew, rng) >= drawn_score(branch.below, rng):
        return None
    return max(open_children, key=lambda child: drawn_score(child.own, rng))


def drawn_score(scores: Sequence[float], rng: np.random.Generator) -> float:
    """Draw a score from what is believed of the next one after these (Murphy 2007, section 5)."""
    count = len(scores)
    mean = sum(scores) / count if count else 0.0
    spread = sum((score - mean) ** 2 for score in scores)
    degrees, weight = DEGREES + count, MEAN_COUNT + count
    centre = (MEAN_COUNT * MEAN + count * mean) / weight
    gap = MEAN_COUNT * count / weight * (mean - MEAN) ** 2
    variance = (DEGREES * VARIANCE + spread + gap) / rng.chisquare(degrees)
    return float(rng.normal(centre, math.sqrt(variance * (1.0 + 1.0 / weight))))
