"""Figures of a benchmark beside what they are held to."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table


def holds_table(figures: Mapping[str, float], holds: Mapping[str, str]) -> Table:
    """A table with a line for each of `holds`; the figures are those of `--json`."""
    table = Table(box=None, pad_edge=False)
    table.add_column("measure")
    table.add_column("measured", justify="right")
    table.add_column("hold")
    for name, hold in holds.items():
        value = float(figures[name])
        table.add_row(name, f"{value:,.0f}" if value > 1000 else f"{value:.3g}", hold)
    return table
