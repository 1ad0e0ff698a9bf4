"""What a run directory already holds for a strategy: which engines a query still needs.

It starts nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from nbest.experiments.config.strategy import Sampling
from nbest.experiments.runs.stored_calls import (
    NotAsked,
    StoredCalls,
    asks_model,
    asks_sampling_model,
)
from nbest.experiments.runs.stored_sampler import NotStored, StoredSamples
from nbest.orchestrator.protocols import BatchStrategy, Strategy
from nbest.orchestrator.store.run_store import RunStore
from nbest.orchestrator.strategies.adaptive import Adaptive
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.strategies.deep_conf import DeepConf
from nbest.orchestrator.strategies.race import RaceToValid
from nbest.orchestrator.strategies.within_budget import WithinBudget
from nbest.orchestrator.types import Query, Sample

OneByOne = BestOfN | Adaptive | RaceToValid
"""Of which what is missing can be told sample by sample."""


async def has_all_samples(store: RunStore, query: Query, strategy: Sampling) -> bool:
    """Whether the model that samples has no more to draw."""
    if isinstance(strategy, DeepConf | WithinBudget):
        return False  # of these it is not told apart from what scorers want
    return await stored_samples(store, query, strategy) is not None


def needs_engine(strategy: Sampling) -> bool:
    """Whether a scorer puts questions to the model that samples, which nobody knows yet."""
    return not isinstance(strategy, RaceToValid) and asks_sampling_model(strategy.select)


async def is_complete(store: RunStore, query: Query, strategy: Sampling) -> bool:
    """Whether no engine is needed at all: samples are stored, and what scorers want of models.

    Never for a budget: what a question gets is decided for all of them together.
    """
    if isinstance(strategy, BatchStrategy):
        return False
    if isinstance(strategy, DeepConf):
        return await _can_be_answered(strategy, query, StoredSamples(store, query))
    samples = await stored_samples(store, query, strategy)
    if samples is None:
        return False
    if isinstance(strategy, RaceToValid) or not asks_model(strategy.select):
        return True
    return await _is_answered(store, query, strategy, samples)


async def batch_is_complete(
    store: RunStore, queries: Sequence[Query], strategy: BatchStrategy
) -> bool:
    """Whether no engine is needed for any of these, which are decided together."""
    samplers = [StoredSamples(store, query) for query in queries]
    try:
        strategies = await strategy.draw(queries, samplers)
    except NotStored:
        return False
    triples = zip(strategies, queries, samplers, strict=True)
    return all([await _can_be_answered(strategy, q, sampler) for strategy, q, sampler in triples])


async def stored_samples(store: RunStore, query: Query, strategy: OneByOne) -> list[Sample] | None:
    """The samples that the strategy would choose from; None where one is missing.

    Of a race all are wanted: an engine that joins again finds at once what has won already.
    """
    most = strategy.max_n if isinstance(strategy, Adaptive) else strategy.n
    calls = StoredCalls(query_id=query.id, find=lambda key: store.get(key, 0))
    looking = strategy.caching() if isinstance(strategy, Adaptive) else None
    samples: list[Sample] = []
    for index in range(most):
        found = store.get(query.id, index)
        if found is None:
            return None
        samples.append(found)
        try:
            if looking is not None and await looking.is_enough(query, samples, calls):
                break
        except NotAsked:  # nobody knows yet whether more are wanted
            return None
    return samples


async def _is_answered(
    store: RunStore, query: Query, strategy: BestOfN | Adaptive, samples: Sequence[Sample]
) -> bool:
    """Whether every call of the scorer is stored: tried out, for only it knows its calls."""
    calls = StoredCalls(query_id=query.id, find=lambda key: store.get(key, 0))
    among = await strategy.candidates(query, samples, calls)
    return await _is_there(strategy.select(query, among))


async def _can_be_answered(strategy: Strategy, query: Query, sampler: StoredSamples) -> bool:
    return await _is_there(strategy(query, sampler))


async def _is_there(trial: Awaitable[object]) -> bool:
    """Whether what is tried out comes to an end with what is stored."""
    try:
        await trial
    except (NotAsked, NotStored):
        return False
    # A scorer may be a plugin, and it reads what a model wrote: the loop makes a record of it.
    except Exception:  # noqa: BLE001
        return True
    return True
