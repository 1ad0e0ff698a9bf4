"""The progress of a run: a snapshot of its counts for a display.

It knows no terminal: how to show a snapshot is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nbest.orchestrator.engines.history import EngineView
from nbest.orchestrator.query.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One look at a run."""

    queries: int
    num_queries: int  # in all
    errors: int
    samples_drawn: int
    samples_reused: int
    answers_drawn: int  # of samples_drawn, whole answers to questions
    answers_cut_off: int
    answers_failed: int
    answers_aborted: int
    generated_tokens: int
    cancelled_tokens: int
    regenerated_tokens: int
    quarantined: int
    engines: tuple[EngineView, ...]
    elapsed_s: float
    first_engine_s: float  # of elapsed_s, how long the run waited for its first engine

    @property
    def useful_tokens(self) -> int:
        return self.generated_tokens - self.cancelled_tokens

    @property
    def num_engines(self) -> int:
        return len(self.engines)

    @property
    def engines_up(self) -> int:
        return sum(engine.state == "up" for engine in self.engines)


Report = Callable[[Progress], None]


def snapshot(
    tally: Tally,
    *,
    num_queries: int,
    engines: Iterable[EngineView],
    elapsed_s: float,
    first_engine_s: float,
) -> Progress:
    """Freeze the tally of the moment, with the engines and the time."""
    return Progress(
        queries=tally.queries,
        num_queries=num_queries,
        errors=tally.errors,
        samples_drawn=tally.samples_drawn,
        samples_reused=tally.samples_reused,
        answers_drawn=tally.answers_drawn,
        answers_cut_off=tally.answers_cut_off,
        answers_failed=tally.answers_failed,
        answers_aborted=tally.answers_aborted,
        generated_tokens=tally.generated_tokens,
        cancelled_tokens=tally.cancelled_tokens,
        regenerated_tokens=tally.regenerated_tokens,
        quarantined=tally.quarantined,
        engines=tuple(engines),
        elapsed_s=elapsed_s,
        first_engine_s=first_engine_s,
    )
