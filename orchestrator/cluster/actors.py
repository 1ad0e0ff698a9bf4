"""Starts the actors of a run on Ray: engines, in placement groups if they span nodes, and workers.

This module knows no query, and nothing of what happens afterwards; `driver.py` does.
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

from nbest.orchestrator.cluster.code_files import ship_code_files
from nbest.orchestrator.cluster.engine.server import EngineServer
from nbest.orchestrator.cluster.gpus import gpus_of_cluster, gpus_per_engine
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.cluster.worker import EngineHandle, QueryWorker
from nbest.orchestrator.engines.pool_engine import slots_for
from nbest.orchestrator.protocols import BackendConfig
from nbest.orchestrator.run.job import Job


@contextmanager
def placement_groups(backend: BackendConfig, cluster: Cluster) -> Iterator[list[PlacementGroup]]:
    """Make a placement group for each engine whose GPUs may span nodes; remove them at the end.

    The list is empty where engines stay on one node. There, asking for the GPUs is enough: Ray
    gives an actor all of them on one node or none. And vLLM must not see a group, because in one it
    starts its ranks through Ray, which needs bundles of one GPU, and not as its own processes.
    """
    gpus = gpus_per_engine(backend, cluster)
    count = cluster.engines if cluster.engines_span_nodes and gpus > 1 else 0
    groups: list[PlacementGroup] = []
    try:
        for _ in range(count):
            groups.append(placement_group(_bundles(int(gpus), cluster.cpus_per_engine), "PACK"))
        yield groups
    finally:
        for group in groups:
            remove_placement_group(group)


def _bundles(gpus: int, cpus: float) -> list[dict[str, float]]:
    """Return bundles of one GPU; the first, where the actor runs, has the engine's CPUs too."""
    first = {"CPU": cpus, "GPU": 1.0} if cpus > 0 else {"GPU": 1.0}
    return [first, *({"GPU": 1.0} for _ in range(gpus - 1))]


@contextmanager
def started_engines(job: Job, cluster: Cluster) -> Iterator[list[EngineHandle]]:
    """Start the engines of all models of a job; remove their groups at the end."""
    rewards = start_model_engines(job.models, cluster, job.work.names)
    if job.backend is None:
        yield rewards
        return
    with placement_groups(job.backend, cluster) as groups:
        yield [*start_engines(job.backend, cluster, groups), *rewards]


def start_engines(
    backend: BackendConfig, cluster: Cluster, groups: Sequence[PlacementGroup] = ()
) -> list[EngineHandle]:
    """Start one actor an engine; Ray restarts an actor that dies, in its group if it has one."""
    gpus = {"num_gpus": gpus_per_engine(backend, cluster)}
    places = [_in_group(groups[i]) if groups else gpus for i in range(cluster.engines)]
    return [_start(backend, cluster, f"engine{i}", place) for i, place in enumerate(places)]


def start_model_engines(
    models: Mapping[str, BackendConfig], cluster: Cluster, names: Mapping[str, str] | None = None
) -> list[EngineHandle]:
    """Start the engines of the models of scorers and arms, with `names` by key.

    They are `reward0`, `large-1` and so on.
    """
    has_gpus = gpus_of_cluster() > 0
    by_engine = [item for item in models.items() for _ in range(cluster.reward_engines)]
    handles = []
    for i, (key, model) in enumerate(by_engine):
        gpus = {"num_gpus": model.gpus if has_gpus else 0}
        handles.append(_start(model, cluster, f"{(names or {}).get(key, 'reward')}{i}", gpus, key))
    return handles


def _start(
    backend: BackendConfig, cluster: Cluster, name: str, place: Mapping[str, Any], model: str = ""
) -> EngineHandle:
    server = ray.remote(EngineServer).options(
        num_cpus=cluster.cpus_per_engine, max_restarts=-1, max_task_retries=0, **place
    )
    slots = math.ceil(slots_for(backend.max_concurrency) / cluster.workers)
    ship_code_files()
    return EngineHandle(name=name, actor=server.remote(backend, name), slots=slots, model=model)


def _in_group(group: PlacementGroup) -> dict[str, Any]:
    """Return the options of an actor in a group. Its children, vLLM's ranks, take the GPUs."""
    strategy = PlacementGroupSchedulingStrategy(
        placement_group=group,
        placement_group_bundle_index=0,
        placement_group_capture_child_tasks=True,
    )
    return {"num_gpus": 0, "scheduling_strategy": strategy}


def start_workers(job: Job, cluster: Cluster) -> list[ActorHandle[QueryWorker]]:
    ship_code_files()
    actor = ray.remote(QueryWorker).options(num_cpus=1, max_restarts=-1, max_task_retries=0)
    return [actor.remote(f"worker{i}", job.work) for i in range(cluster.workers)]
