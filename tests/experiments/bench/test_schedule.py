"""How well engines are kept busy, in virtual time: figures that must not get worse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nbest.experiments.bench.schedule import ONE_QUERY, STRAGGLERS, Pace, simulate
from nbest.orchestrator.engines.pool_engine import slots_for


def test_one_large_query_uses_all_engines_evenly() -> None:
    """One question with 10,000 samples uses the whole cluster (DESIGN, section 3)."""
    schedule = simulate(ONE_QUERY)
    assert schedule.imbalance <= 0.10
    assert schedule.ratio <= 1.1


def test_long_samples_hold_nobody_up() -> None:
    """No barrier between queries: a straggler occupies its own slot and nothing else."""
    schedule = simulate(STRAGGLERS)
    assert schedule.ratio <= 1.15
    assert schedule.imbalance <= 0.10


def test_no_schedule_beats_the_ideal_and_one_engine_has_it_all() -> None:
    alone = simulate(replace(ONE_QUERY, n=2000, engines=1))
    assert alone.imbalance == 0.0
    assert alone.ratio >= 1.0
    assert alone.makespan_s > simulate(replace(ONE_QUERY, n=2000)).makespan_s


@pytest.mark.parametrize("n", [1, 16, 60])
def test_the_cut_into_queries_changes_little(n: int) -> None:
    small = replace(ONE_QUERY, max_concurrency=20, engines=3)
    whole = simulate(replace(small, n=2400))
    assert simulate(replace(small, queries=2400 // n, n=n)).makespan_s <= 1.05 * whole.makespan_s


def test_the_longest_sample_bounds_the_ideal() -> None:
    schedule = simulate(replace(STRAGGLERS, queries=1, n=64, pace=Pace(every=1, times_longer=20.0)))
    assert 4 * slots_for(STRAGGLERS.max_concurrency) > 64
    assert schedule.ratio == 1.0
    assert schedule.makespan_s >= 20.0
