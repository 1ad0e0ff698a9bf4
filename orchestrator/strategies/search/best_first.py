"""Searches that go where a tree is best: best-first search and UCT.

They need no level to be complete, so no step waits for the slowest of its siblings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nbest.orchestrator.requirements import require
from nbest.orchestrator.strategies.search.plan import Leaf, Node, Plan
from nbest.orchestrator.types import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class BestFirst:
    """Open the best node that there is, again and again, until n chains or more have ended.

    All children of a node that is opened are told before the search may end, so n may be exceeded
    by some. It ends with the chains that are first to end: where answers differ in length, it
    favours short ones, whatever the scores know.

    Example: `BestFirst(n=4, width=4, max_nodes=128)`
    """

    n: int
    width: int = 4  # children of a node that is opened
    max_nodes: int = 256  # once so many were drawn, the best one goes on alone, child by child
    ahead: int = 1  # nodes that are open at the same time

    def __post_init__(self) -> None:
        _require_counts(n=self.n, width=self.width, max_nodes=self.max_nodes, ahead=self.ahead)

    def plans(self, key: str) -> tuple[Plan, ...]:
        """One plan."""
        return (TreePlan(self, _best_score),)


@dataclass(frozen=True, slots=True, kw_only=True)
class UCT:
    """Monte Carlo tree search: open the node with the highest upper confidence bound.

    The bound is the mean score of what was drawn below a node, plus
    `c` * sqrt(ln(draws of the parent) / draws of the node): Kocsis and Szepesvari 2006. A node is
    valued by its score. Nodes under way, and those without a score, count as draws of the lowest
    score so far, so that others are opened meanwhile.

    Example: `UCT(n=4, width=4, c=1.0)`
    """

    n: int
    width: int = 4  # children of a node that is opened
    c: float = 1.0
    max_nodes: int = 256  # once so many were drawn, the best one goes on alone, child by child
    ahead: int = 1  # nodes that are open at the same time

    def __post_init__(self) -> None:
        _require_counts(n=self.n, width=self.width, max_nodes=self.max_nodes, ahead=self.ahead)
        require(self.c >= 0, "c", "be at least 0", self.c)

    def plans(self, key: str) -> tuple[Plan, ...]:
        """One plan."""
        return (TreePlan(self, _Bound(self.c)),)


@dataclass(slots=True)
class TreeNode:
    """A node of a tree as its plan knows it."""

    path: Path
    score: float = math.nan  # nan: not told yet, or the scorer cannot say
    is_open: bool = False  # its children have been asked for
    has_ended: bool = False
    is_told: bool = False
    draws: int = 0  # of nodes at and below it, those under way included
    scored: int = 0  # of these, those that were told a score
    total: float = 0.0  # of these scores
    children: list[TreeNode] = field(default_factory=list)

    @property
    def rank(self) -> float:
        """The score; lowest where there is none."""
        return -math.inf if math.isnan(self.score) else self.score


class TreePlan:
    """A plan that opens one node at a time, the one of highest value."""

    def __init__(self, settings: BestFirst | UCT, choose: Choose) -> None:
        self._settings = settings
        self._choose = choose
        self._root = TreeNode((), is_told=True)
        self._nodes: dict[Path, TreeNode] = {(): self._root}
        self._leaves: list[Leaf] = []
        self._opened: dict[Path, int] = {}  # children that have not been told, by parent
        self._drawn = 0
        self._is_over = False

    def ask(self) -> Sequence[Path] | None:
        """The children of the best nodes, as many as may be open at the same time."""
        if self._is_over:
            return None
        asked: list[Path] = []
        while len(self._opened) < self._settings.ahead:
            is_spent = self._drawn >= self._settings.max_nodes
            if is_spent and (self._num_rated or self._opened):
                break
            node = _deepest_best(self._nodes) if is_spent else self._choose(self._root, self._nodes)
            if node is None:
                break
            asked += self._open(node, 1 if is_spent else self._settings.width)
        return asked if asked or self._opened else None

    def tell(self, path: Path, node: Node) -> None:
        """Take a node in, and its score into all nodes above it."""
        known = self._nodes[path]
        known.score, known.has_ended, known.is_told = node.score, node.has_ended, True
        if node.has_ended:
            self._leaves.append(Leaf(path=path, weight=node.score))
        if math.isfinite(node.score):
            for length in range(len(path) + 1):
                self._nodes[path[:length]].scored += 1
                self._nodes[path[:length]].total += node.score
        self._opened[path[:-1]] -= 1
        if not self._opened[path[:-1]]:
            del self._opened[path[:-1]]
            self._is_over = self._num_rated >= self._settings.n

    @property
    def _num_rated(self) -> int:
        """The chains that have ended with a score: one that failed is no answer."""
        return sum(not math.isnan(leaf.weight) for leaf in self._leaves)

    def leaves(self) -> Sequence[Leaf]:
        """The chains that have ended."""
        return self._leaves

    def _open(self, node: TreeNode, width: int) -> list[Path]:
        node.is_open = True
        node.children = [TreeNode((*node.path, child)) for child in range(width)]
        self._nodes |= {child.path: child for child in node.children}
        self._opened[node.path] = width
        self._drawn += width
        for child in node.children:
            for length in range(len(child.path) + 1):
                self._nodes[child.path[:length]].draws += 1
        return [child.path for child in node.children]


class Choose(Protocol):
    """Chooses the node to be opened next; None where none can be."""

    def __call__(self, root: TreeNode, nodes: dict[Path, TreeNode]) -> TreeNode | None: ...


def _best_score(root: TreeNode, nodes: dict[Path, TreeNode]) -> TreeNode | None:
    """The node of highest score that has not been opened; of equal ones, the first by path."""
    if not root.is_open:
        return root
    return min(_closed(nodes), key=lambda node: (-node.rank, node.path), default=None)


@dataclass(frozen=True, slots=True)
class _Bound:
    """Goes down from the root by the highest bound, to a node that has not been opened."""

    c: float

    def __call__(self, root: TreeNode, nodes: dict[Path, TreeNode]) -> TreeNode | None:
        if not root.is_open:
            return root
        open_ways = _with_closed_nodes_below(nodes)
        scores = [known.score for known in nodes.values() if math.isfinite(known.score)]
        lowest = min(scores, default=0.0)
        node = root
        while node.is_open:
            ways = [child for child in node.children if child.path in open_ways]
            if not ways:
                return None
            # Of equal bounds the one that has a score, then the first by path.
            keys = {way.path: (-self._bound(way, node, lowest), -way.rank) for way in ways}
            node = min(ways, key=lambda way: (*keys[way.path], way.path))
        return node

    def _bound(self, child: TreeNode, parent: TreeNode, lowest: float) -> float:
        mean = (child.total + lowest * (child.draws - child.scored)) / child.draws
        return mean + self.c * math.sqrt(math.log(max(1, parent.draws)) / child.draws)


def _with_closed_nodes_below(nodes: dict[Path, TreeNode]) -> set[Path]:
    """The nodes at or below which there is one that can be opened."""
    paths = (node.path for node in _closed(nodes))
    return {path[:length] for path in paths for length in range(len(path) + 1)}


def _closed(nodes: dict[Path, TreeNode]) -> Iterator[TreeNode]:
    """The nodes that can be opened."""
    return (n for n in nodes.values() if n.is_told and not n.is_open and not n.has_ended)


def _deepest_best(nodes: dict[Path, TreeNode]) -> TreeNode | None:
    """The node to carry on where no more may be searched: of the deepest ones, the best."""
    return min(_closed(nodes), key=lambda n: (-len(n.path), -n.rank, n.path), default=None)


def _require_counts(**counts: int) -> None:
    for name, count in counts.items():
        require(count >= 1, name, "be at least 1", count)
