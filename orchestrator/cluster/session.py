"""Opens a session of Ray, started here or joined, and closes it; checks that there is room.

It starts no actor; `actors.py` does.
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
from ray.exceptions import AuthenticationError

from nbest.orchestrator.cluster.auth import (
    keep_token_private,
    known_address,
    make_token,
    require_tokens,
)
from nbest.orchestrator.cluster.metrics import require_free_port
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.cluster.shared_folder import Mark, leave_mark, refuse_local_folder
from nbest.orchestrator.errors import InputError, first_line
from nbest.orchestrator.protocols import BackendConfig
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
        rule = f"be that of a Ray cluster that answers and takes this token ({first_line(error)})"
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
