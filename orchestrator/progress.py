"""What is counted while a run goes on, and the snapshot of it that a display gets.

It knows no terminal: how to show a snapshot is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Tally:
    """The running counts of one process."""

    queries: int = 0  # that came to an end, errors included
    errors: int = 0  # of queries
    samples_drawn: int = 0  # from an engine, in this run of the command
    samples_reused: int = 0  # from the store
    generated_tokens: int = 0  # of samples_drawn

    def __iadd__(self, other: Tally) -> Tally:
        self.queries += other.queries
        self.errors += other.errors
        self.samples_drawn += other.samples_drawn
        self.samples_reused += other.samples_reused
        self.generated_tokens += other.generated_tokens
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One look at a run."""

    queries: int
    num_queries: int  # in all
    errors: int
    samples_drawn: int
    samples_reused: int
    generated_tokens: int
    engines_up: int
    num_engines: int
    elapsed_s: float
    first_engine_s: float  # when the first engine was up, on the same clock


Report = Callable[[Progress], None]


def snapshot(
    tally: Tally,
    *,
    num_queries: int,
    engines_up: int,
    num_engines: int,
    elapsed_s: float,
    first_engine_s: float,
) -> Progress:
    """The tally of the moment, frozen, with what it is measured against."""
    return Progress(
        queries=tally.queries,
        num_queries=num_queries,
        errors=tally.errors,
        samples_drawn=tally.samples_drawn,
        samples_reused=tally.samples_reused,
        generated_tokens=tally.generated_tokens,
        engines_up=engines_up,
        num_engines=num_engines,
        elapsed_s=elapsed_s,
        first_engine_s=first_engine_s,
    )
