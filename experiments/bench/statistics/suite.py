"""All simulations, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from nbest.experiments.bench.statistics.decisions import (
    table_promises,
    threshold_promises,
    watch_promises,
)
from nbest.experiments.bench.statistics.intervals import extrapolation_promises, interval_promises
from nbest.experiments.bench.statistics.promise import Promise
from nbest.experiments.bench.statistics.replays import replay_promises, saving_promises
from nbest.orchestrator.requirements import require

STUDIES = 1000
FEWEST = 20


def measure_promises(
    studies: int = STUDIES,
    seed: int = 1,
    tell: Callable[[str], None] = lambda line: None,
    only: Sequence[str] = (),
) -> list[Promise]:
    """Simulate so many studies for each promise; what takes long gets a part of them."""
    require(studies >= FEWEST, "studies", f"be at least {FEWEST}", studies)
    suite = dict(_suite(studies, seed))
    for name in only:
        require(name in suite, "only", f"be some of {', '.join(suite)}", name)
    found: list[Promise] = []
    for name in only or suite:
        found += suite[name]
        tell(f"{name}: {len(found)} promises so far")
    return found


def _suite(studies: int, seed: int) -> Iterator[tuple[str, Iterator[Promise]]]:
    yield "intervals", interval_promises(studies, seed)
    yield "tables", table_promises(studies, seed)
    yield "thresholds", threshold_promises(max(FEWEST, studies // 4), seed)
    yield "watch", watch_promises(max(FEWEST, studies // 2), seed)
    yield "extrapolation", extrapolation_promises(max(FEWEST, studies // 10), seed)
    yield "savings", saving_promises(studies, seed)
    yield "replays", replay_promises(max(FEWEST, studies // 2), 20, seed)
