"""Starts what a run on Ray consists of: the session, the engines, the workers.

It knows no query and hears of nothing that happens afterwards; `cluster.py` does.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.actor import ActorHandle

from orchestrator.cluster_engine import EngineServer
from orchestrator.cluster_settings import Cluster
from orchestrator.cluster_worker import EngineSeat, QueryWorker
from orchestrator.job import Job
from orchestrator.pool import slots_for
from orchestrator.types import BackendConfig


@contextmanager
def ray_session(cluster: Cluster) -> Iterator[None]:
    """Ray for the time of a run, unless the caller is in a session already."""
    if ray.is_initialized():
        yield
        return
    on_sigterm = signal.getsignal(signal.SIGTERM)
    if cluster.address is None:
        # Ray only counts CPUs; engines and workers share whatever the machine has.
        wanted = math.ceil(cluster.engines * cluster.cpus_per_engine) + cluster.workers
        cpus = max(os.cpu_count() or 1, wanted)
        ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    else:
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put its own, which ends the process
    try:
        yield
    finally:
        ray.shutdown()


def start_engines(backend: BackendConfig, cluster: Cluster) -> list[EngineSeat]:
    """One actor an engine; Ray starts one again that has died."""
    gpus = cluster.gpus_per_engine
    if gpus is None:
        gpus = backend.gpus if ray.cluster_resources().get("GPU", 0) > 0 else 0
    actor = ray.remote(EngineServer).options(
        num_cpus=cluster.cpus_per_engine,
        num_gpus=gpus,
        max_restarts=-1,
        max_task_retries=0,
    )
    slots = math.ceil(slots_for(backend.max_concurrency) / cluster.workers)
    return [
        EngineSeat(name=name, actor=actor.remote(backend, name), slots=slots)
        for name in (f"engine{i}" for i in range(cluster.engines))
    ]


def start_workers(job: Job, cluster: Cluster) -> list[ActorHandle[QueryWorker]]:
    actor = ray.remote(QueryWorker).options(num_cpus=1, max_restarts=-1, max_task_retries=0)
    return [actor.remote(f"worker{i}", job.work) for i in range(cluster.workers)]
