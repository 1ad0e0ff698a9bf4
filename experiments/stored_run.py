"""What a run directory already holds for a strategy: which engines a query still needs.

It starts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from experiments.stored_calls import NotAsked, StoredCalls, asks_model, asks_sampling_model
from orchestrator.adaptive import Adaptive
from orchestrator.race import RaceToValid
from orchestrator.selection import merge_answers, read_answers
from orchestrator.store import RunStore
from orchestrator.strategies import BestOfN
from orchestrator.types import Query, Sample

Sampling = BestOfN | Adaptive | RaceToValid
"""The strategies that a config can name."""


async def has_all_samples(store: RunStore, query: Query, strategy: Sampling) -> bool:
    """Whether the model that samples has no more to draw."""
    return await stored_samples(store, query, strategy) is not None


def needs_engine(strategy: Sampling) -> bool:
    """Whether a scorer puts questions to the model that samples, which nobody knows yet."""
    return not isinstance(strategy, RaceToValid) and asks_sampling_model(strategy.select)


async def is_complete(store: RunStore, query: Query, strategy: Sampling) -> bool:
    """Whether no engine is needed at all: samples are stored, and what scorers want of models."""
    samples = await stored_samples(store, query, strategy)
    if samples is None:
        return False
    if isinstance(strategy, RaceToValid) or not asks_model(strategy.select):
        return True
    return await _is_answered(store, query, strategy, samples)


async def stored_samples(store: RunStore, query: Query, strategy: Sampling) -> list[Sample] | None:
    """The samples that the strategy would choose from; None where one is missing.

    Of a race all are wanted: an engine that joins again finds at once what has won already.
    """
    most = strategy.max_n if isinstance(strategy, Adaptive) else strategy.n
    calls = StoredCalls(query_id=query.id, find=lambda key: store.get(key, 0))
    samples: list[Sample] = []
    for index in range(most):
        found = store.get(query.id, index)
        if found is None:
            return None
        samples.append(found)
        try:
            if isinstance(strategy, Adaptive) and await strategy.is_enough(query, samples, calls):
                break
        except NotAsked:  # nobody knows yet whether more are wanted
            return None
    return samples


async def _is_answered(
    store: RunStore, query: Query, strategy: BestOfN | Adaptive, samples: Sequence[Sample]
) -> bool:
    """Whether every call of the scorer is stored: tried out, for only it knows its calls."""
    calls = StoredCalls(query_id=query.id, find=lambda key: store.get(key, 0))
    read = replace(read_answers(samples, strategy.extract), ask=calls, rate=calls.rate)
    among = await merge_answers(query, read, strategy.equivalence)
    try:
        await strategy.select(query, among)
    except NotAsked:
        return False
    # A scorer may be a plugin, and it reads what a model wrote: the loop makes a record of it.
    except Exception:  # noqa: BLE001
        return True
    return True
