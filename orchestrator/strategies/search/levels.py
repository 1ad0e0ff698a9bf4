"""Searches that go down level by level: beam search, DVTS and REBASE.

All draw n chains a level. A chain that ends keeps its score, takes no children, and the next level
is smaller by it: so they end with at most n chains, each of them another one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from nbest.orchestrator.requirements import require
from nbest.orchestrator.strategies.search.plan import Leaf, Node, Plan, best_first, distinct
from nbest.orchestrator.types import Path

Share = Callable[[dict[Path, Node], int], dict[Path, int]]
"""Gives the slots of the next level to the nodes of this one: how many children each gets."""


class Levels:
    """A plan that draws a level, waits for all of it, and shares out the next one."""

    def __init__(self, roots: Sequence[Path], share: Share) -> None:
        self._slots = len(roots)
        self._next = list(roots)
        self._share = share
        self._waiting = 0  # nodes of the level that have not been told
        self._open: dict[Path, Node] = {}  # nodes of the level that may have children
        self._leaves: list[Leaf] = []

    def ask(self) -> Sequence[Path] | None:
        """The next level, once this one has been told."""
        level, self._next = self._next, []
        self._waiting += len(level)
        return level if self._waiting else None

    def tell(self, path: Path, node: Node) -> None:
        """Take a node in; after the last one of a level, share out the next."""
        self._waiting -= 1
        if node.has_ended:
            self._leaves.append(Leaf(path=path, weight=node.score))
        else:
            self._open[path] = node
        if not self._waiting:
            widths = self._share(self._open, self._slots - len(self._leaves))
            self._next = [(*path, child) for path, n in widths.items() for child in range(n)]
            self._open = {}

    def leaves(self) -> Sequence[Leaf]:
        """The chains that have ended."""
        return self._leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam:
    """Keep the n / width best of a level, and draw `width` children of each (Snell et al. 2024).

    Of siblings that say the same, one takes a place, and gets more children. With a width of 1 all
    go on, and it is best-of-n, cut into steps. arXiv 2408.03314, section 5.2.

    Example: `Beam(n=16, width=4)`
    """

    n: int
    width: int = 4  # children of a node that is kept

    def __post_init__(self) -> None:
        _require_width(self.n, self.width)

    def plans(self, key: str) -> tuple[Plan, ...]:
        """One plan."""
        roots = [(i,) for i in range(self.n)]
        return (Levels(roots, partial(to_the_best, width=self.width)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class DVTS:
    """Grow n / width beams of one node each, apart from each other (Beeching et al. 2024).

    Diverse verifier tree search: what looks best early cannot crowd out the rest.

    Example: `DVTS(n=16, width=4)`
    """

    n: int
    width: int = 4  # children of the best node of each tree

    def __post_init__(self) -> None:
        _require_width(self.n, self.width)
        require(self.n % self.width == 0, "n", f"be a multiple of the width {self.width}", self.n)

    def plans(self, key: str) -> tuple[Plan, ...]:
        """One plan a tree."""
        starts = range(0, self.n, self.width)
        trees = [[(start + i,) for i in range(self.width)] for start in starts]
        return tuple(Levels(roots, partial(to_the_best, width=self.width)) for roots in trees)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebase:
    """Share the slots of a level among its nodes by the softmax of their scores (Wu et al. 2024).

    Reward-balanced search, arXiv 2408.00724, equation 1; the slots are rounded to whole children by
    largest remainders, so that none is lost and none is added.

    Example: `Rebase(n=16, temperature=0.2)`
    """

    n: int
    temperature: float = 0.2  # of the softmax: towards 0, all children are of the best node

    def __post_init__(self) -> None:
        require(self.n >= 1, "n", "be at least 1", self.n)
        require(self.temperature > 0, "temperature", "be above 0", self.temperature)

    def plans(self, key: str) -> tuple[Plan, ...]:
        """One plan."""
        roots = [(i,) for i in range(self.n)]
        return (Levels(roots, partial(by_softmax, temperature=self.temperature)),)


def to_the_best(nodes: dict[Path, Node], slots: int, *, width: int) -> dict[Path, int]:
    """Give `width` slots to each of the best nodes; what is left goes round among these again.

    Of siblings that say the same, one is kept: the slots of the others go to all that are.
    """
    kept = best_first(nodes if width == 1 else distinct(nodes))[: math.ceil(slots / width)]
    widths = dict.fromkeys(kept, 0)
    while slots > 0 and kept:
        for path in kept:
            share = min(width, slots)
            widths[path] += share
            slots -= share
    return {path: count for path, count in widths.items() if count}


def by_softmax(nodes: dict[Path, Node], slots: int, *, temperature: float) -> dict[Path, int]:
    """Give slots in proportion to exp(score / temperature); all of them, by largest remainders.

    Nodes without a score get none, unless no node has one: then all are alike.
    """
    paths = best_first(nodes)
    if not paths or slots <= 0:
        return {}
    ranks = np.array([nodes[path].rank for path in paths])
    if np.isinf(ranks[0]):  # the best of them: all are without a score, or some above all others
        ranks = np.where(ranks == ranks[0], 0.0, -np.inf)
    shares = np.exp((ranks - ranks.max()) / temperature)
    quotas = slots * shares / shares.sum()
    widths = np.floor(quotas).astype(int)
    rest = slots - int(widths.sum())
    widths[np.argsort(widths - quotas, kind="stable")[:rest]] += 1
    return {path: int(n) for path, n in zip(paths, widths, strict=True) if n}


def _require_width(n: int, width: int) -> None:
    require(width >= 1, "width", "be at least 1", width)
    require(n >= width, "n", f"be at least the width {width}", n)
