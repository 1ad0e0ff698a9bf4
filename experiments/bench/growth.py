"""`nbest bench control --growth`: the cost of a sample as queries, and samples, become many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from rich.table import Table

from nbest.experiments.bench.control import Load, LoadCost, measure
from nbest.orchestrator.cluster.settings import Cluster

MOST = 100_000  # queries
SAMPLES = 160_000  # while N grows

# Small loads are over in no time, so they are run again and again: about so many samples in all.
REPEATED_SAMPLES = 320_000
MAX_ROUNDS = 20


def growing_loads(most: int = MOST, samples: int = SAMPLES) -> list[Load]:
    """Loads of 100, 1,000, ... queries at N=16; then a growing N at the same number of samples."""
    counts = [100 * 10**i for i in range(8) if 100 * 10**i <= most]
    queries = [Load(queries=count, n=16) for count in counts]
    sizes = [n for n in (1, 10, 100, 1000, 10_000) if n <= samples]
    return queries + [Load(queries=samples // n, n=n) for n in sizes]


def measure_growth(
    places: Sequence[str], loads: Sequence[Load], cluster: Cluster, tell: Callable[[str], None]
) -> list[LoadCost]:
    """Measure every load in every place."""
    rows = []
    for place, load in product(places, loads):
        rounds = min(MAX_ROUNDS, max(1, REPEATED_SAMPLES // load.samples))
        rows.append(measure(place, load, cluster, rounds))
        tell(line_of(rows[-1]))
    return rows


def line_of(row: LoadCost) -> str:
    """A row in words, to show progress."""
    return (
        f"{row.place}: {row.queries} queries x {row.n}: {row.samples_per_s:,.0f} samples/s, "
        f"{row.us_per_sample:.1f} us a sample, +{row.driver_growth_mb:.0f} MB"
    )


def growth_table(rows: Sequence[LoadCost]) -> Table:
    """The rows, for a terminal."""
    table = Table(box=None, header_style="bold")
    for name in ("place", "queries", "n", "rounds", "samples/s", "us/sample", "driver MB"):
        table.add_column(name, justify="left" if name == "place" else "right")
    for row in rows:
        table.add_row(
            row.place,
            f"{row.queries:,}",
            f"{row.n:,}",
            str(row.rounds),
            f"{row.samples_per_s:,.0f}",
            f"{row.us_per_sample:.1f}",
            f"+{row.driver_growth_mb:.0f}",
        )
    return table
