"""Counts of a run: every one of them adds up, and a snapshot holds still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.engines.history import EngineView, State
from nbest.orchestrator.query.tally import Tally
from nbest.orchestrator.run.progress import Progress, snapshot

counts = st.integers(0, 10**12)
tallies = st.builds(Tally, **{field.name: counts for field in fields(Tally)})
views = st.builds(EngineView, name=st.text(), state=st.sampled_from(get_args(State)))


def seen(tally: Tally, engines: Sequence[EngineView] = ()) -> Progress:
    return snapshot(
        tally, num_queries=1001, engines=iter(engines), elapsed_s=1004.0, first_engine_s=1005.0
    )


@given(one=tallies, other=tallies)
def test_tallies_add_up_field_by_field(one: Tally, other: Tally) -> None:
    """A field that is forgotten in the sum would be 0 for ever on a cluster."""
    total = replace(one)
    total += other
    for field in fields(Tally):
        both = getattr(one, field.name) + getattr(other, field.name)
        assert getattr(total, field.name) == both, field.name


def test_counting_begins_at_nothing() -> None:
    assert {getattr(Tally(), field.name) for field in fields(Tally)} == {0}


def test_adding_changes_the_left_one_only() -> None:
    left, right = Tally(queries=1), Tally(queries=2)
    same = left
    left += right
    assert same is left
    assert (left.queries, right.queries) == (3, 2)


def test_a_snapshot_shows_every_count_under_its_own_name() -> None:
    """All values differ, so that no two of them can be mixed up."""
    names = [field.name for field in fields(Tally)]
    tally = Tally(**{name: i + 1 for i, name in enumerate(names)})
    progress = seen(tally, [EngineView(name="a"), EngineView(name="b")])
    assert all(getattr(progress, name) == getattr(tally, name) for name in names)
    assert progress.num_queries == 1001
    assert (progress.elapsed_s, progress.first_engine_s) == (1004.0, 1005.0)
    assert [engine.name for engine in progress.engines] == ["a", "b"]
    assert {field.name for field in fields(Progress)} - set(names) == {
        "num_queries",
        "engines",
        "elapsed_s",
        "first_engine_s",
    }


def test_a_snapshot_does_not_go_on_counting() -> None:
    tally = Tally(queries=1)
    progress = seen(tally)
    tally.queries += 1
    assert progress.queries == 1


@given(engines=st.lists(views, max_size=9))
def test_engines_are_counted_by_their_state(engines: list[EngineView]) -> None:
    progress = seen(Tally(), engines)
    others = [engine for engine in engines if engine.state != "up"]
    assert progress.num_engines == len(engines)
    assert progress.engines_up == len(engines) - len(others)


@given(useful=counts, cancelled=counts)
def test_what_was_generated_is_useful_or_cancelled(useful: int, cancelled: int) -> None:
    tally = Tally(generated_tokens=useful + cancelled, cancelled_tokens=cancelled)
    assert seen(tally).useful_tokens == useful
