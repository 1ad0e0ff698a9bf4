"""`nbest bench search`: searches beside closed forms, and what they make of an engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.table import Table

from nbest.experiments.bench.search.continuation import Continuation, measured_continuation
from nbest.experiments.bench.search.engine_use import (
    EngineUse,
    measured_use,
    small_model,
    uneven_fake,
)
from nbest.experiments.bench.search.truths import Truth, truths
from nbest.experiments.bench.search.view import continuation_table, truths_table, uses_table
from nbest.orchestrator.protocols import BackendConfig
from nbest.orchestrator.requirements import require

ANSWERS = 30  # that are drawn in one and in steps


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredSearches:
    """All figures of the benchmark; of a part that was left out, none."""

    tests: tuple[Truth, ...]
    engine: tuple[EngineUse, ...] = ()
    continuation: Continuation | None = None  # of a real model

    @property
    def holds(self) -> bool:
        """Whether every simulation agrees with its closed form."""
        return all(test.holds for test in self.tests)

    def as_json(self) -> dict[str, object]:
        """What `--json` prints."""
        tests = [test.as_json() for test in self.tests]
        engine = [use.as_json() for use in self.engine]
        steps = None if self.continuation is None else self.continuation.as_json()
        return {"tests": tests, "engine": engine, "continuation": steps}

    def tables(self) -> Iterator[Table]:
        """A table for each part."""
        if self.tests:
            yield truths_table(self.tests)
        if self.engine:
            yield uses_table(self.engine)
        if self.continuation is not None:
            yield continuation_table(self.continuation)


def measure_searches(
    runs: int,
    seed: int,
    model: str | None,
    questions: int,
    rounds: int,
    only: str,
    tell: Callable[[str], None],
) -> MeasuredSearches:
    """Simulate, then measure an engine: that of a model, or a fake one; `only` leaves one out."""
    require(only in ("", "tests", "engine"), "only", "be tests or engine", only)
    require(runs >= 2, "runs", "be at least 2", runs)
    for name, count in {"questions": questions, "rounds": rounds}.items():
        require(count >= 1, name, "be at least 1", count)
    tests = () if only == "engine" else tuple(truths(runs, seed))
    if only == "tests":
        return MeasuredSearches(tests=tests)

    async def measured() -> MeasuredSearches:
        settings: BackendConfig = uneven_fake() if model is None else small_model(model)
        async with settings.open("engine0") as live:
            uses = await measured_use(live, settings, questions, rounds, tell)
            # The fake model draws each step by its seed: no answer of it is greedy.
            steps = None if model is None else await measured_continuation(live, ANSWERS)
        return MeasuredSearches(tests=tests, engine=tuple(uses), continuation=steps)

    return asyncio.run(measured())
