"""`nbest bench estimates` measures every figure that it lists; no speed is tested here."""

from __future__ import annotations

from dataclasses import asdict

from nbest.experiments.bench.estimates import HOLDS, Pool, measure_estimates, times_table


def test_every_figure_is_measured() -> None:
    lines: list[str] = []
    times = measure_estimates(Pool(queries=6, n=5), Pool(queries=8, n=4), 1, lines.append)
    assert list(asdict(times)) == list(HOLDS)
    assert all(value > 0 for value in asdict(times).values())
    assert times_table(times).row_count == len(HOLDS)
    assert len(lines) == 2
