"""The console, and the table of selectors that `nbest run` and `nbest select` print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbest.experiments.analysis.table.rows import Row
from nbest.experiments.language.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


def console() -> Console:
    """The console on standard output; without a terminal, wide enough that no column is cut."""
    from rich.console import Console

    plain = Console()
    return plain if plain.is_terminal else Console(width=120)


def plain_table(*titles: str) -> Table:
    """A table without lines, whose long cells are folded and never cut."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def selector_table(rows: Sequence[Row], baselines: Sequence[Row] = ()) -> Table:
    """A table with a line for each selector, and the baselines above them."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("selector", no_wrap=True)
    titles = ["accuracy", "95% interval", "abstained", "all tokens", "s/question"]
    asks = any(row.scorer_tokens for row in rows)
    for title in (*titles, *(("scorer tokens", "scorer s") if asks else ())):
        table.add_column(title, justify="right", no_wrap=True)
    for row in baselines:
        table.add_row(*_cells(row, asks), style="dim")
    if baselines:
        table.add_section()
    for row in rows:
        table.add_row(*_cells(row, asks))
    return table


def _cells(row: Row, asks: bool) -> list[str | Text]:
    """The cells of a row; `asks` adds what judges and verifiers have cost."""
    from rich.text import Text

    cost = [f"{row.scorer_tokens:,}", f"{row.scorer_s:.1f}"] if row.scorer_tokens else ["-", "-"]
    return [
        Text(printable(row.select)),  # as it is: no markup, no emoji
        share(row.accuracy),
        "-" if math.isnan(row.low) else f"{row.low:.2f} to {row.high:.2f}",
        str(row.abstained),
        f"{row.tokens:,}",
        f"{row.seconds:.1f}" if row.seconds > 0 else "-",  # nobody knows it, as of imported ones
        *(cost if asks else ()),
    ]


def share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
