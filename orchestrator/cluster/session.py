"""Starts what a run on Ray consists of: the session, the engines, the workers.

It knows no query and hears of nothing that happens afterwards; `cluster.py` does.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import AuthenticationError
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from nbest.orchestrator.cluster.auth import (
    keep_token_private,
    known_address,
    make_token,
    require_tokens,
)
from nbest.orchestrator.cluster.engine.server import EngineServer
from nbest.orchestrator.cluster.metrics import require_free_port
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.cluster.shared_folder import Mark, leave_mark, refuse_local_folder
from nbest.orchestrator.cluster.worker import EngineSeat, QueryWorker
from nbest.orchestrator.engines.pool_engine import slots_for
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import BackendConfig
from nbest.orchestrator.run.job import Job
from nbest.orchestrator.types import require


@contextmanager
def ray_session(
    cluster: Cluster,
    backend: BackendConfig | None = None,
    models: Sequence[BackendConfig] = (),
) -> Iterator[None]:
    """Ray for the time of a run, unless the caller is in a session already.

    InputError where the cluster is open to everybody, or where this machine can never hold what is
    asked for: engines of this backend, if it is given, and of models that scorers want.
    """
    if ray.is_initialized():
        yield
        return
    try:
        with _same_sigterm():
            if cluster.address is None or cluster.address == "local":
                _start_ray(cluster, len(models))
                _require_room(cluster, backend, models)
            else:
                _join_ray(cluster, cluster.address)
        yield
    finally:
        ray.shutdown()


@contextmanager
def _same_sigterm() -> Iterator[None]:
    """Keep the handler of SIGTERM: Ray puts its own, which ends the process."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _start_ray(cluster: Cluster, num_models: int) -> None:
    cpus = os.cpu_count() or 1
    rule = f"be at most {cpus}, the number of CPUs of this machine"
    require(cluster.cpus_per_engine <= cpus, "cpus_per_engine", rule, cluster.cpus_per_engine)
    if cluster.metrics_port is not None:
        require_free_port(cluster.metrics_port)
    make_token(os.environ)
    keep_token_private(os.environ)
    # Ray only counts CPUs; engines and workers share whatever the machine has.
    engines = cluster.engines + num_models * cluster.reward_engines
    wanted = math.ceil(engines * cluster.cpus_per_engine) + cluster.workers
    ray.init(
        address="local",
        num_cpus=max(cpus, wanted),
        include_dashboard=False,
        # Anybody who reaches the page may read it: there is none unless it is asked for.
        _metrics_export_port=cluster.metrics_port,
        _system_config=None if cluster.metrics_port else {"enable_metrics_collection": False},
        log_to_driver=False,
        logging_level=logging.ERROR,
    )


def _join_ray(cluster: Cluster, address: str) -> None:
    """Join a running cluster: one that asks for a token, unless the user wants any other."""
    keep_token_private(os.environ)
    known = known_address(address, os.environ)
    allow = cluster.allow_unauthenticated
    if known is not None:  # Ray would try for 20 s to join one that refuses us
        require_tokens(
            known, allow_unauthenticated=allow, environment=os.environ, is_connected=False
        )
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, AuthenticationError) as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        rule = f"be that of a Ray cluster that answers and takes this token ({cause})"
        raise InputError(f"address must {rule}, got {address!r}") from error
    joined = ray.get_runtime_context().gcs_address
    require_tokens(joined, allow_unauthenticated=allow, environment=os.environ)


def _require_room(
    cluster: Cluster, backend: BackendConfig | None, models: Sequence[BackendConfig]
) -> None:
    """A machine gets no more GPUs: to wait for them would be to wait for ever."""
    gpus = int(ray.cluster_resources().get("GPU", 0))
    taken = sum(model.gpus for model in models) * cluster.reward_engines if gpus else 0
    rule = f"leave a GPU of the {gpus} of this machine to the model that samples"
    require(taken < max(gpus, 1), "reward_engines", rule, cluster.reward_engines)
    gpus -= taken
    each = cluster.gpus_per_engine or 0
    if backend is not None:
        each = gpus_per_engine(backend, cluster)
    rule = f"be at most {gpus}, the number of GPUs of this machine"
    require(each <= gpus, "gpus_per_engine", rule, each)
    if each > 0:
        rule = f"be at most {gpus // each} on the {gpus} GPUs of this machine, {each} an engine"
        require(cluster.engines <= gpus // each, "engines", rule, cluster.engines)


def gpus_per_engine(backend: BackendConfig, cluster: Cluster) -> int:
    """How many GPUs Ray sets aside for one engine."""
    if cluster.gpus_per_engine is not None:
        return cluster.gpus_per_engine
    return backend.gpus if ray.cluster_resources().get("GPU", 0) > 0 else 0


@contextmanager
def marked_folder(directory: str | None, cluster: Cluster) -> Iterator[Mark | None]:
    """The driver's mark in the run directory, for `check_mark` in every worker.

    InputError where the directory cannot be shared by the machines of the cluster. None where
    samples stay in memory.
    """
    if directory is None:
        yield None
        return
    refuse_local_folder(directory, num_machines(ray.nodes()), is_shared=cluster.shared_folder)
    with leave_mark(directory) as mark:
        yield mark


def num_machines(nodes: Sequence[Mapping[str, Any]]) -> int:
    """How many machines the live nodes of `ray.nodes()` are on: one may be several nodes.

    Nodes with one host name are on one machine, and so are nodes with one address.
    """
    alive = [node for node in nodes if node["Alive"]]
    hosts = {node["NodeManagerHostname"] for node in alive}
    addresses = {node["NodeManagerAddress"] for node in alive}
    return min(len(hosts), len(addresses))


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
def started_engines(job: Job, cluster: Cluster) -> Iterator[list[EngineSeat]]:
    """All that a job wants, of whatever model; their groups are removed at the end."""
    rewards = start_reward_engines(job.models, cluster)
    if job.backend is None:
        yield rewards
        return
    with placement_groups(job.backend, cluster) as groups:
        yield [*start_engines(job.backend, cluster, groups), *rewards]


def start_engines(
    backend: BackendConfig, cluster: Cluster, groups: Sequence[PlacementGroup] = ()
) -> list[EngineSeat]:
    """One actor an engine; Ray starts one again that has died, in the same group if it has one."""
    gpus = {"num_gpus": gpus_per_engine(backend, cluster)}
    places = [_in_group(groups[i]) if groups else gpus for i in range(cluster.engines)]
    return [_start(backend, cluster, f"engine{i}", place) for i, place in enumerate(places)]


def start_reward_engines(models: Mapping[str, BackendConfig], cluster: Cluster) -> list[EngineSeat]:
    """The engines of the models that scorers want, by key: `reward0`, `reward1` and so on."""
    has_gpus = ray.cluster_resources().get("GPU", 0) > 0
    wanted = [item for item in models.items() for _ in range(cluster.reward_engines)]
    return [
        _start(model, cluster, f"reward{i}", {"num_gpus": model.gpus if has_gpus else 0}, key)
        for i, (key, model) in enumerate(wanted)
    ]


def _start(
    backend: BackendConfig, cluster: Cluster, name: str, place: Mapping[str, Any], model: str = ""
) -> EngineSeat:
    server = ray.remote(EngineServer).options(
        num_cpus=cluster.cpus_per_engine, max_restarts=-1, max_task_retries=0, **place
    )
    slots = math.ceil(slots_for(backend.max_concurrency) / cluster.workers)
    return EngineSeat(name=name, actor=server.remote(backend, name), slots=slots, model=model)


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
