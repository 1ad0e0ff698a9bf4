"""What a run directory already holds for a strategy: which engines a query still needs.

It starts nothing.
"""

from __future__ import annotations

from dataclasses import replace

from experiments.stored_calls import NotAsked, StoredCalls, asks_model, asks_sampling_model
from orchestrator.selection import merge_answers, read_answers
from orchestrator.store import RunStore
from orchestrator.strategies import BestOfN
from orchestrator.types import Query


def has_all_samples(store: RunStore, query: Query, strategy: BestOfN) -> bool:
    """Whether the model that samples has no more to draw."""
    return all(store.get(query.id, index) is not None for index in range(strategy.n))


def needs_engine(strategy: BestOfN) -> bool:
    """Whether a scorer puts questions to the model that samples, which nobody knows yet."""
    return asks_sampling_model(strategy.select)


async def is_complete(store: RunStore, query: Query, strategy: BestOfN) -> bool:
    """Whether no engine is needed at all: samples are stored, and what scorers want of models."""
    if not has_all_samples(store, query, strategy):
        return False
    return not asks_model(strategy.select) or await _is_answered(store, query, strategy)


async def _is_answered(store: RunStore, query: Query, strategy: BestOfN) -> bool:
    """Whether every call of the scorer is stored: tried out, for only it knows its calls."""
    samples = [found for i in range(strategy.n) if (found := store.get(query.id, i)) is not None]
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
