"""Beam search, DVTS and REBASE: who gets how many children."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.strategies.search.levels import (
    DVTS,
    Beam,
    Rebase,
    by_softmax,
    to_the_best,
)
from nbest.orchestrator.strategies.search.plan import Node, Plan
from nbest.orchestrator.types import Path

scores = st.lists(st.floats(-10, 10) | st.just(math.nan), min_size=1, max_size=12)


def nodes(values: Sequence[float]) -> dict[Path, Node]:
    return {(i,): Node(score=value, text=str(i)) for i, value in enumerate(values)}


def grown(plan: Plan, node_at: Callable[[Path], Node]) -> list[list[Path]]:
    """Run a plan; returns the paths that each `ask` named."""
    levels: list[list[Path]] = []
    waiting: list[Path] = []
    while (paths := plan.ask()) is not None:
        levels += [list(paths)] if paths else []
        waiting += paths
        path = waiting.pop(0)
        plan.tell(path, node_at(path))
    return levels


@given(values=scores, slots=st.integers(0, 40), temperature=st.floats(1e-6, 10))
def test_rebase_gives_out_every_slot(values: list[float], slots: int, temperature: float) -> None:
    widths = by_softmax(nodes(values), slots, temperature=temperature)
    assert sum(widths.values()) == slots
    assert all(width > 0 for width in widths.values())
    unknown = {(i,) for i, value in enumerate(values) if math.isnan(value)}
    if len(unknown) < len(values):
        assert not unknown & widths.keys()


def test_rebase_rounds_as_the_paper_does_not() -> None:
    """Rounding each share gave 7 of 8 slots, 9 of 8, or none at all."""
    assert sum(by_softmax(nodes([0.9, 0.8, 0.7, 0.6, 0.5]), 8, temperature=0.2).values()) == 8
    assert sum(by_softmax(nodes([0.5] * 3), 8, temperature=0.2).values()) == 8
    assert by_softmax(nodes([0.5] * 20), 9, temperature=0.2) == {(i,): 1 for i in range(9)}


def test_scores_without_end_take_all_or_nothing() -> None:
    assert by_softmax(nodes([math.inf, 0.5, math.inf]), 4, temperature=0.2) == {(0,): 2, (2,): 2}
    assert by_softmax(nodes([-math.inf, 0.5]), 4, temperature=0.2) == {(1,): 4}


def test_rebase_between_its_ends() -> None:
    values = [0.1, 0.7, 0.4]
    assert by_softmax(nodes(values), 9, temperature=1e-6) == {(1,): 9}
    assert by_softmax(nodes([0.3] * 5), 5, temperature=0.2) == {(i,): 1 for i in range(5)}
    assert by_softmax(nodes(values), 0, temperature=0.2) == {}
    shifted = by_softmax(nodes([value + 7 for value in values]), 9, temperature=0.2)
    assert shifted == by_softmax(nodes(values), 9, temperature=0.2)


@given(values=scores, slots=st.integers(0, 40), width=st.integers(1, 8))
def test_a_beam_is_of_the_best(values: list[float], slots: int, width: int) -> None:
    widths = to_the_best(nodes(values), slots, width=width)
    assert sum(widths.values()) == slots
    kept = [values[path[0]] for path in widths]
    ranked = sorted((-math.inf if math.isnan(v) else v for v in values), reverse=True)
    assert [-math.inf if math.isnan(v) else v for v in kept] == ranked[: len(kept)]


def test_siblings_that_say_the_same_take_one_place() -> None:
    twins = {path: Node(score=0.9, text="same") for path in [(0, 0), (0, 1)]}
    others = {(1, 0): Node(score=0.5, text="same"), (0, 2): Node(score=0.4, text="other")}
    assert to_the_best(twins | others, 4, width=2) == {(0, 0): 2, (1, 0): 2}


def test_of_siblings_that_say_the_same_the_best_is_kept() -> None:
    twins = {(0, 0): Node(score=0.1, text="a"), (0, 1): Node(score=0.9, text="a")}
    other = {(1, 0): Node(score=0.5, text="b")}
    assert to_the_best(twins | other, 2, width=2) == {(0, 1): 2}


def test_no_slot_is_lost_where_siblings_say_the_same() -> None:
    """Sixteen first steps that say one of two things: all sixteen chains go on."""
    said = {(i,): Node(score=0.5, text="ab"[i % 2]) for i in range(16)}
    assert to_the_best(said, 16, width=4) == {(0,): 8, (1,): 8}
    assert to_the_best(said, 16, width=1) == dict.fromkeys(said, 1)  # best-of-n


@pytest.mark.parametrize("plan", [Beam(n=8, width=2), DVTS(n=8, width=2)])
def test_only_the_order_of_scores_counts(plan: Beam | DVTS) -> None:
    def run(change: Callable[[float], float]) -> list[list[list[Path]]]:
        def node(path: Path) -> Node:
            score = np.random.default_rng(path).random()
            return Node(score=change(score), has_ended=len(path) == 5, text=str(path))

        return [grown(part, node) for part in plan.plans("q")]

    assert run(lambda score: score) == run(lambda score: math.exp(3 * score) - 7)


def test_a_chain_that_ends_takes_no_children_and_no_place_of_others() -> None:
    """The first chain ends at once with a high score; the others go on, and there are no copies."""
    (plan,) = Beam(n=4, width=2).plans("q")

    def node(path: Path) -> Node:
        is_first = path == (0,)
        return Node(
            score=0.9 if is_first else 0.5, has_ended=is_first or len(path) == 3, text=str(path)
        )

    levels = grown(plan, node)
    assert [len(level) for level in levels] == [4, 3, 3]
    assert not any(path[0] == 0 and len(path) > 1 for level in levels for path in level)
    paths = [leaf.path for leaf in plan.leaves()]
    assert len(paths) == len(set(paths)) == 4


def test_a_chain_that_ends_late_is_there_beside_one_that_ended_early() -> None:
    (plan,) = Beam(n=2, width=1).plans("q")

    def node(path: Path) -> Node:
        is_early = path == (0,)
        return Node(score=0.2 if is_early else 0.9, has_ended=is_early or len(path) == 3)

    grown(plan, node)
    assert [(leaf.path[0], leaf.weight) for leaf in plan.leaves()] == [(0, 0.2), (1, 0.9)]


def test_trees_of_dvts_share_nothing() -> None:
    plans = DVTS(n=8, width=4).plans("q")
    roots = [paths for plan in plans if (paths := plan.ask())]
    assert [len(paths) for paths in roots] == [4, 4]
    assert len({path for paths in roots for path in paths}) == 8


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Beam, {"n": 2, "width": 4}, "n must be at least the width 4, got 2"),
        (Beam, {"n": 4, "width": 0}, "width must be at least 1, got 0"),
        (DVTS, {"n": 6, "width": 4}, "n must be a multiple of the width 4, got 6"),
        (Rebase, {"n": 0}, "n must be at least 1, got 0"),
        (Rebase, {"n": 4, "temperature": 0.0}, "temperature must be above 0, got 0.0"),
    ],
)
def test_settings_that_make_no_sense(
    kind: Callable[..., object], settings: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        kind(**settings)
    assert str(caught.value) == message
