"""Starts the actors of a run on Ray: engines, in placement groups if they span nodes, and workers.

It knows no query and hears of nothing that happens afterwards; `driver.py` does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from nbest.orchestrator.cluster.engine.server import EngineServer
from nbest.orchestrator.cluster.session import gpus_per_engine
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.cluster.worker import EngineHandle, QueryWorker
from nbest.orchestrator.engines.pool_engine import slots_for
from nbest.orchestrator.protocols import BackendConfig
from nbest.orchestrator.run.job import Job


@contextmanager
def placement_groups(backend: BackendConfig, cluster: Cluster) -> Iterator[list[PlacementGroup]]:
    """A placement group for each engine whose GPUs may be on several nodes, removed at the end.

    Empty where engines stay on one node. There, asking for the GPUs is enough: Ray gives an actor
    all of them on one node or none. And vLLM must not see a group, for in one it starts its ranks
    through Ray, which wants bundles of one GPU, instead of as processes of its own.
    """
    gpus = gpus_per_engine(backend, cluster)
    count = cluster.engines if cluster.engines_span_nodes and gpus > 1 else 0
    groups: list[PlacementGroup] = []
    try:
        for _ in range(count):
            groups.append(placement_group(_bundles(gpus, cluster.cpus_per_engine), "PACK"))
        yield groups
    finally:
        for group in groups:
            remove_placement_group(group)


def _bundles(gpus: int, cpus: float) -> list[dict[str, float]]:
    """One GPU a bundle, and the engine's CPUs in the first, where the actor itself lives."""
    first = {"CPU": cpus, "GPU": 1.0} if cpus > 0 else {"GPU": 1.0}
    return [first, *({"GPU": 1.0} for _ in range(gpus - 1))]


@contextmanager
def started_engines(job: Job, cluster: Cluster) -> Iterator[list[EngineHandle]]:
    """All that a job wants, of whatever model; their groups are removed at the end."""
    rewards = start_reward_engines(job.models, cluster)
    if job.backend is None:
        yield rewards
        return
    with placement_groups(job.backend, cluster) as groups:
        yield [*start_engines(job.backend, cluster, groups), *rewards]


def start_engines(
    backend: BackendConfig, cluster: Cluster, groups: Sequence[PlacementGroup] = ()
) -> list[EngineHandle]:
    """One actor an engine; Ray starts one again that has died, in the same group if it has one."""
    gpus = {"num_gpus": gpus_per_engine(backend, cluster)}
    places = [_in_group(groups[i]) if groups else gpus for i in range(cluster.engines)]
    return [_start(backend, cluster, f"engine{i}", place) for i, place in enumerate(places)]


def start_reward_engines(
    models: Mapping[str, BackendConfig], cluster: Cluster
) -> list[EngineHandle]:
    """The engines of the models that scorers want, by key: `reward0`, `reward1` and so on."""
    has_gpus = ray.cluster_resources().get("GPU", 0) > 0
    wanted = [item for item in models.items() for _ in range(cluster.reward_engines)]
    return [
        _start(model, cluster, f"reward{i}", {"num_gpus": model.gpus if has_gpus else 0}, key)
        for i, (key, model) in enumerate(wanted)
    ]


def _start(
    backend: BackendConfig, cluster: Cluster, name: str, place: Mapping[str, Any], model: str = ""
) -> EngineHandle:
    server = ray.remote(EngineServer).options(
        num_cpus=cluster.cpus_per_engine, max_restarts=-1, max_task_retries=0, **place
    )
    slots = math.ceil(slots_for(backend.max_concurrency) / cluster.workers)
    return EngineHandle(name=name, actor=server.remote(backend, name), slots=slots, model=model)


def _in_group(group: PlacementGroup) -> dict[str, Any]:
    """The actor itself uses no GPU: its children, vLLM's ranks, take one in each bundle."""
    strategy = PlacementGroupSchedulingStrategy(
        placement_group=group,
        placement_group_bundle_index=0,
        placement_group_capture_child_tasks=True,
    )
    return {"num_gpus": 0, "scheduling_strategy": strategy}


def start_workers(job: Job, cluster: Cluster) -> list[ActorHandle[QueryWorker]]:
    actor = ray.remote(QueryWorker).options(num_cpus=1, max_restarts=-1, max_task_retries=0)
    return [actor.remote(f"worker{i}", job.work) for i in range(cluster.workers)]
