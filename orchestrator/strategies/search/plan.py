"""What a plan is: the part of a search that decides which steps are drawn.

A plan is pure. It knows no engine, no store and no clock: it asks for nodes, is told what became of
them in the order in which it asked, and so comes to the same tree whatever arrives first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

import numpy as np

from nbest.orchestrator.types import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What a plan is told of a step that it asked for."""

    score: float  # of the answer up to here; higher is better, nan where the scorer cannot say
    has_ended: bool = False  # no step comes after it
    text: str = ""  # of the step alone

    @property
    def rank(self) -> float:
        """The score, for sorting: a node without one comes last."""
        return -math.inf if math.isnan(self.score) else self.score


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """The end of a chain that a search has come to."""

    path: Path
    weight: float  # how much the search makes of it: its score, or its share of the particles


class Plan(Protocol):
    """Decides which nodes are drawn, step by step.

    1. `ask` names nodes to be drawn now; their parents have been told. It may name none while some
       have not been told yet; None says that it wants no more, and what is under way is aborted.
    2. `tell` comes once for each node, in the order in which they were named.
    3. `leaves` are the chains that have ended, in the order in which they did.
    """

    def ask(self) -> Sequence[Path] | None: ...

    def tell(self, path: Path, node: Node) -> None: ...

    def leaves(self) -> Sequence[Leaf]: ...


class PlanSettings(Protocol):
    """The settings of a search: a frozen dataclass that makes plans for a question."""

    @property
    def n(self) -> int:
        """The number of chains, or of answers, that it is made for."""
        ...

    def plans(self, key: str) -> tuple[Plan, ...]:
        """Plans that share nothing, so that none waits for another; `key` seeds what is random."""
        ...


def generator(key: str, tells: int) -> np.random.Generator:
    """The random numbers of a plan after so many tells: the same in every run."""
    digest = blake2b(f"{key}/{tells}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def best_first(nodes: dict[Path, Node]) -> list[Path]:
    """The paths, best score first; equal scores by path."""
    return sorted(nodes, key=lambda path: (-nodes[path].rank, path))


def distinct(nodes: dict[Path, Node]) -> dict[Path, Node]:
    """The nodes without those that say the same as a sibling of a higher score."""
    first: dict[tuple[Path, str], Path] = {}
    for path in best_first(nodes):
        first.setdefault((path[:-1], nodes[path].text), path)
    return {path: nodes[path] for path in first.values()}
