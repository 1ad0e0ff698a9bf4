"""Best-first search and UCT: which node is opened next."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.strategies.search.best_first import UCT, BestFirst, TreePlan
from nbest.orchestrator.strategies.search.plan import Node, Plan
from nbest.orchestrator.types import Path


def grown(plan: Plan, node_at: Callable[[Path], Node]) -> list[Path]:
    """Run a plan; returns the nodes that were opened."""
    opened: list[Path] = []
    waiting: list[Path] = []
    while (paths := plan.ask()) is not None:
        opened += dict.fromkeys(path[:-1] for path in paths)
        waiting += paths
        path = waiting.pop(0)
        plan.tell(path, node_at(path))
    return opened


def test_best_first_opens_the_best_node_wherever_it_is() -> None:
    score = {(0,): 0.4, (1,): 0.6, (1, 0): 0.3, (1, 1): 0.2, (0, 0): 0.9, (0, 1): 0.1}
    (plan,) = BestFirst(n=1, width=2).plans("q")

    def node(path: Path) -> Node:
        return Node(score=score.get(path, 0.0), has_ended=len(path) == 3)

    assert grown(plan, node) == [(), (1,), (0,), (0, 0)]
    assert [leaf.path for leaf in plan.leaves()] == [(0, 0, 0), (0, 0, 1)]


def test_where_no_more_may_be_searched_a_chain_is_carried_to_its_end() -> None:
    (plan,) = BestFirst(n=1, width=2, max_nodes=2).plans("q")

    def node(path: Path) -> Node:
        return Node(score=0.5, has_ended=len(path) == 4)

    assert grown(plan, node) == [(), (0,), (0, 0), (0, 0, 0)]
    assert [leaf.path for leaf in plan.leaves()] == [(0, 0, 0, 0)]


@pytest.mark.parametrize("settings", [BestFirst(n=9, width=2), UCT(n=9, width=2)])
def test_it_ends_where_nothing_is_left_to_open(settings: BestFirst | UCT) -> None:
    (plan,) = settings.plans("q")
    grown(plan, lambda path: Node(score=0.5, has_ended=len(path) == 2))
    assert len(plan.leaves()) == 4


def test_nodes_without_a_score_come_last() -> None:
    (plan,) = BestFirst(n=2, width=2).plans("q")

    def node(path: Path) -> Node:
        is_unknown = path == (0,)
        return Node(score=math.nan if is_unknown else 0.1, has_ended=len(path) == 2)

    assert grown(plan, node)[:2] == [(), (1,)]


def test_uct_pulls_the_worse_arm_as_rarely_as_it_may() -> None:
    """Two arms whose leaves are worth .2 and .8: the worse one is opened like log n."""
    (plan,) = UCT(n=10_000, width=2, c=1.0, max_nodes=2000).plans("q")
    assert isinstance(plan, TreePlan)

    def node(path: Path) -> Node:
        chance = 0.8 if path[0] else 0.2
        is_won = np.random.default_rng(path).random() < chance
        return Node(score=float(is_won), has_ended=len(path) >= 30)

    opened = grown(plan, node)
    worse = sum(path[:1] == (0,) for path in opened)
    better = sum(path[:1] == (1,) for path in opened)
    assert better > 20 * worse > 0


def test_nodes_under_way_count_as_draws() -> None:
    """Without that, the second node that is opened would be below the first."""
    (plan,) = UCT(n=9, width=2, ahead=2).plans("q")
    first = plan.ask()
    assert first == [(0,), (1,)]
    plan.tell((0,), Node(score=0.5))
    plan.tell((1,), Node(score=0.5))
    assert plan.ask() == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_chain_that_failed_is_no_answer() -> None:
    (plan,) = BestFirst(n=1, width=2, max_nodes=2).plans("q")

    def node(path: Path) -> Node:
        has_failed = path == (0,)
        score = math.nan if has_failed else 0.5
        return Node(score=score, has_ended=has_failed or len(path) == 3)

    grown(plan, node)
    assert [leaf.path for leaf in plan.leaves()] == [(0,), (1, 0, 0)]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_uct_works_with_scores_below_zero(sign: float) -> None:
    """What has no score, or is under way, is never the best that there is."""
    (plan,) = UCT(n=9, width=2, c=0.1, ahead=2).plans("q")
    plan.ask()
    plan.tell((0,), Node(score=sign * 1.0 - 1.0))
    plan.tell((1,), Node(score=math.nan))
    assert plan.ask() == [(0, 0), (0, 1), (1, 0), (1, 1)]
    (plan,) = UCT(n=9, width=2, c=0.1).plans("q")
    plan.ask()
    plan.tell((0,), Node(score=math.nan))
    plan.tell((1,), Node(score=-0.5))
    assert plan.ask() == [(1, 0), (1, 1)]


def test_every_node_that_is_asked_for_is_told() -> None:
    (plan,) = UCT(n=3, width=3, ahead=2).plans("q")
    asked: list[Path] = []
    waiting: list[Path] = []
    while (paths := plan.ask()) is not None:
        asked += paths
        waiting += paths
        path = waiting.pop(0)
        plan.tell(path, Node(score=len(path) / 9, has_ended=len(path) == 3))
    assert len(asked) == len(set(asked))
    # What was under way when it had enough is aborted, and that is less than two nodes' children.
    assert len(waiting) < 6


@pytest.mark.parametrize("key", ["n", "width", "max_nodes", "ahead"])
@pytest.mark.parametrize("kind", [BestFirst, UCT])
def test_counts_are_at_least_one(kind: type[BestFirst] | type[UCT], key: str) -> None:
    with pytest.raises(InputError, match=f"{key} must be at least 1, got 0"):
        kind(**{"n": 2, key: 0})
