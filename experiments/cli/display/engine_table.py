"""The engines of a run as a small table; of many engines, the worst ones.

It knows no terminal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbest.experiments.cli.display.progress_words import counted
from nbest.experiments.language.text import printable
from nbest.orchestrator.engines.history import EngineView, State

if TYPE_CHECKING:
    from rich.table import Table

MAX_SHOWN = 8

_RANK: dict[State, int] = {"down": 0, "starting": 1, "up": 2}
_STYLE: dict[State, str] = {"down": "red", "starting": "yellow", "up": "none"}


def engine_table(engines: Sequence[EngineView]) -> Table:
    """A table with a line for each engine, and one for all that it leaves out."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("engine", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for title in ("queue", "tokens/s", "cache hits", "restarts"):
        table.add_column(title, justify="right", no_wrap=True)
    shown = worst(engines)
    for engine in shown:
        table.add_row(*map(Text, cells(engine)), style=_STYLE[engine.state])
    names = {engine.name for engine in shown}
    rest = [engine for engine in engines if engine.name not in names]
    if rest:
        table.add_row(*map(Text, summary(rest)), style="dim")
    return table


def worst(engines: Sequence[EngineView]) -> list[EngineView]:
    """Keep at most `MAX_SHOWN` engines: first those that are down, then the slowest.

    They stay in the order of the run, so that a table of them does not jump about.
    """
    order = range(len(engines))
    ranked = sorted(order, key=lambda i: (_RANK[engines[i].state], engines[i].tokens_per_s, i))
    return [engines[i] for i in sorted(ranked[:MAX_SHOWN])]


def cells(engine: EngineView) -> list[str]:
    return [
        printable(engine.name),
        engine.state,
        f"{engine.in_flight:,}",
        f"{engine.tokens_per_s:,.0f}",
        "-" if math.isnan(engine.hit_share) else f"{engine.hit_share:.0%}",
        f"{engine.restarts:,}",
    ]


def summary(engines: Sequence[EngineView]) -> list[str]:
    """The cells of many engines together."""
    together = EngineView(
        name=f"and {counted(len(engines), 'other')}",
        in_flight=sum(engine.in_flight for engine in engines),
        tokens_per_s=sum(engine.tokens_per_s for engine in engines),
        prompt_tokens=sum(engine.prompt_tokens for engine in engines),
        cached_tokens=sum(engine.cached_tokens for engine in engines),
        restarts=sum(engine.restarts for engine in engines),
    )
    name, _, *figures = cells(together)
    states = [engine.state for engine in engines]
    counts = [f"{n} {state}" for state in _RANK if (n := states.count(state))]
    return [name, ", ".join(counts), *figures]
