"""`nbest bench estimates`: that it measures what it says; how fast that is, is its own business."""

from __future__ import annotations

from dataclasses import asdict

from nbest.experiments.bench.estimates import HOLDS, Pool, measure_estimates, times_table


def test_every_figure_is_measured() -> None:
    told: list[str] = []
    times = measure_estimates(Pool(queries=6, n=5), Pool(queries=8, n=4), 1, told.append)
    assert list(asdict(times)) == list(HOLDS)
    assert all(value > 0 for value in asdict(times).values())
    assert times_table(times).row_count == len(HOLDS)
    assert len(told) == 2
