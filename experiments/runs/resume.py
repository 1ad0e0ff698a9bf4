"""Says what a run directory already holds for a strategy, and whether it needs an engine.

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
from nbest.orchestrator.strategies.cascade import Cascade
from nbest.orchestrator.strategies.deep_conf import DeepConf
from nbest.orchestrator.strategies.race import RaceToValid
from nbest.orchestrator.strategies.search.grown import TreeStrategy
from nbest.orchestrator.strategies.search.revise import Revise
from nbest.orchestrator.strategies.search.search import Search
from nbest.orchestrator.strategies.within_budget import WithinBudget
from nbest.orchestrator.types import Query, Sample

OneByOne = BestOfN | Adaptive | Cascade | RaceToValid
"""The strategies for which one can tell sample by sample what is missing."""


async def has_all_samples(store: RunStore, query: Query, strategy: Sampling) -> bool:
    """Whether the store holds all samples that the strategy draws."""
    if isinstance(strategy, DeepConf | WithinBudget | TreeStrategy):
        return False  # they do not tell missing samples from missing calls of scorers
    return await stored_samples(store, query, strategy) is not None


def needs_engine(strategy: Sampling) -> bool:
    """Whether a scorer of the strategy asks the model that samples."""
    score = strategy.score if isinstance(strategy, Search | Revise) else None
    if score is not None and asks_sampling_model(score):
        return True
    return not isinstance(strategy, RaceToValid) and asks_sampling_model(strategy.select)


async def is_complete(store: RunStore, query: Query, strategy: Sampling) -> bool:
    """Whether the query needs no engine: its samples are stored, and all calls of its scorers.

    Never for a budget, which decides for all questions together.
    """
    if isinstance(strategy, BatchStrategy):
        return False
    if isinstance(strategy, DeepConf | TreeStrategy):
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
    """Whether none of these queries, which are decided together, needs an engine."""
    samplers = [StoredSamples(store, query) for query in queries]
    try:
        strategies = await strategy.draw(queries, samplers)
    except NotStored:
        return False
    triples = zip(strategies, queries, samplers, strict=True)
    return all([await _can_be_answered(strategy, q, sampler) for strategy, q, sampler in triples])


async def stored_samples(store: RunStore, query: Query, strategy: OneByOne) -> list[Sample] | None:
    """The samples that the strategy would choose from; None where one is missing.

    A race needs all of them: an engine that joins again finds at once what has won already.
    """
    calls = StoredCalls(query_id=query.id, find=lambda key: store.get(key, 0))
    if isinstance(strategy, Adaptive | Cascade):
        most, rule = strategy.max_n, strategy.caching()
    else:
        most, rule = strategy.n, None
    samples: list[Sample] = []
    for index in range(most):
        sample = store.get(query.id, index)
        if sample is None:
            return None
        samples.append(sample)
        try:
            if rule is not None and await rule.is_enough(query, samples, calls):
                break
        except NotAsked:  # whether the rule wants more is not known yet
            return None
        # A scorer may be a plugin, and it reads what a model wrote: the loop makes a record of it.
        except Exception:  # noqa: BLE001
            return samples
    return samples


async def _is_answered(
    store: RunStore, query: Query, strategy: BestOfN | Adaptive | Cascade, samples: Sequence[Sample]
) -> bool:
    """Whether every call of the scorer is stored; it must run, for only it knows its calls."""
    calls = StoredCalls(query_id=query.id, find=lambda key: store.get(key, 0))
    candidates = await strategy.candidates(query, samples, calls)
    return await _needs_no_more(strategy.select(query, candidates))


async def _can_be_answered(strategy: Strategy, query: Query, sampler: StoredSamples) -> bool:
    return await _needs_no_more(strategy(query, sampler))


async def _needs_no_more(trial: Awaitable[object]) -> bool:
    """Whether a trial ends with what is stored, be it in an error of its own."""
    try:
        await trial
    except (NotAsked, NotStored):
        return False
    # A scorer may be a plugin, and it reads what a model wrote: the loop makes a record of it.
    except Exception:  # noqa: BLE001
        return True
    return True
