"""What a figure promises, and how often a simulation saw it kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.table import Table

Side = Literal["at least", "at most", "equal"]
ERRORS = 3  # standard errors that a simulation may be off by chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A promise, and what a simulation of many studies observed."""

    name: str
    nominal: float  # what is promised
    observed: float
    error: float  # standard error of `observed`
    side: Side

    @property
    def holds(self) -> bool:
        """Whether it is kept, as far as the simulation can tell."""
        slack = ERRORS * self.error + 1e-9
        if self.side == "at least":
            return self.observed >= self.nominal - slack
        if self.side == "at most":
            return self.observed <= self.nominal + slack
        return abs(self.observed - self.nominal) <= slack

    def as_json(self) -> dict[str, str | float | bool]:
        return {
            "name": self.name,
            "nominal": self.nominal,
            "observed": self.observed,
            "error": self.error,
            "side": self.side,
            "holds": self.holds,
        }


def share_of(name: str, side: Side, nominal: float, outcomes: Sequence[bool]) -> Promise:
    """A promise about how often something happens, from whether it did in each study."""
    count, happened = len(outcomes), sum(map(bool, outcomes))
    share = happened / count
    # With half a study of either outcome: none in a hundred is no certainty.
    smoothed = (happened + 0.5) / (count + 1)
    error = math.sqrt(smoothed * (1 - smoothed) / count)
    return Promise(name=name, nominal=nominal, observed=share, error=error, side=side)


def promises_table(promises: Sequence[Promise]) -> Table:
    """A table with a line for each promise."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("promise")
    for title in ("says", "observed", "error"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("kept", no_wrap=True)
    for one in promises:
        kept = "yes" if one.holds else "NO"
        numbers = (f"{one.side} {one.nominal:.3f}", f"{one.observed:.3f}", f"{one.error:.3f}")
        table.add_row(one.name, *numbers, kept)
    return table
