"""Starts or joins a Ray cluster for a run, checks that there is room, and shuts Ray down.

This module starts no actor; `actors.py` does.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import AuthenticationError

from nbest.orchestrator.cluster.auth import (
    keep_token_private,
    known_address,
    make_token,
    require_answer,
    require_tokens,
)
from nbest.orchestrator.cluster.gpus import require_gpus
from nbest.orchestrator.cluster.metrics import require_free_port
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.cluster.shared_folder import Mark, leave_mark, refuse_local_folder
from nbest.orchestrator.errors import BackendError, InputError, first_line
from nbest.orchestrator.protocols import BackendConfig
from nbest.orchestrator.requirements import require

# How often Ray is started, and what it says where its processes did not answer in time.
STARTS = 3
TOO_SLOW = "timed out during startup"


@contextmanager
def ray_session(
    cluster: Cluster,
    backend: BackendConfig | None = None,
    models: Sequence[BackendConfig] = (),
) -> Iterator[None]:
    """Connect to Ray for the time of a run, unless the caller is in a session already.

    Raises InputError where the cluster is open to everybody, or where this machine has no room for
    the engines of this backend, if there is one, and of the models that scorers need.
    """
    if ray.is_initialized():
        yield
        return
    try:
        with _same_sigterm():
            if cluster.address is None or cluster.address == "local":
                _start_ray(cluster, len(models))
                require_gpus(cluster, backend, models)
            else:
                _join_ray(cluster, cluster.address)
        yield
    finally:
        ray.shutdown()


@contextmanager
def _same_sigterm() -> Iterator[None]:
    """Restore the handler of SIGTERM: Ray installs its own, which ends the process."""
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
    num_cpus = math.ceil(engines * cluster.cpus_per_engine) + cluster.workers
    start = partial(
        ray.init,
        address="local",
        num_cpus=max(cpus, num_cpus),
        include_dashboard=False,
        # Who reaches the page may read it, so there is none unless the user sets a port.
        _metrics_export_port=cluster.metrics_port,
        _system_config=None if cluster.metrics_port else {"enable_metrics_collection": False},
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        _start_patiently(start)
    # Ray's own checks, its sockets (whose paths must be short) and its processes fail in these.
    except (OSError, RuntimeError, ValueError) as error:
        hint = "; set RAY_TMPDIR to a short path" if "AF_UNIX" in str(error) else ""
        raise BackendError(f"Ray cannot be started: {first_line(error)}{hint}") from error


def _start_patiently(start: Callable[[], object]) -> None:
    """Start Ray, up to three times: it gives its own processes no more than 30 s to answer.

    Raises TimeoutError where they never do.
    """
    for _ in range(STARTS):
        before = _ray_children()
        try:
            start()
        except Exception as error:  # Ray has no type of its own for this
            if TOO_SLOW not in str(error):
                raise
        else:
            return
        for pid in _ray_children() - before:  # Ray would only kill them at the end of this process
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    raise TimeoutError(f"its processes were too slow {STARTS} times; this machine is overloaded")


def _ray_children() -> set[int]:
    """Return the pids of Ray's processes below this one; none where there is no /proc."""
    tasks = Path("/proc/self/task").glob("*/children")
    pids = {int(pid) for task in tasks for pid in _read(task).split()}
    return {pid for pid in pids if "/site-packages/ray/" in _read(Path(f"/proc/{pid}/cmdline"))}


def _read(path: Path) -> str:
    """The text of a file in /proc; empty where its thread or process has ended."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _join_ray(cluster: Cluster, address: str) -> None:
    """Join a running cluster: one that asks for a token, unless the user allows an open one."""
    keep_token_private(os.environ)
    head = known_address(address, os.environ)
    allow = cluster.allow_unauthenticated
    if head is not None:  # Ray would try for 20 s to join one that refuses us, others for ever
        require_answer(head, os.environ)
        require_tokens(
            head, allow_unauthenticated=allow, environment=os.environ, is_connected=False
        )
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, AuthenticationError) as error:
        rule = f"be that of a Ray cluster that answers and takes this token ({first_line(error)})"
        raise InputError(f"address must {rule}, got {address!r}") from error
    head = ray.get_runtime_context().gcs_address
    require_tokens(head, allow_unauthenticated=allow, environment=os.environ)


@contextmanager
def marked_folder(directory: str | None, cluster: Cluster) -> Iterator[Mark | None]:
    """Leave the driver's mark in the run directory, for `check_mark` in every worker.

    Raises InputError where the machines of the cluster cannot share the directory. Yields None
    where samples stay in memory.
    """
    if directory is None:
        yield None
        return
    refuse_local_folder(directory, num_machines(ray.nodes()), is_shared=cluster.shared_folder)
    with leave_mark(directory) as mark:
        yield mark


def num_machines(nodes: Sequence[Mapping[str, Any]]) -> int:
    """Count the machines that the live nodes of `ray.nodes()` are on: one may be several nodes.

    Nodes with one host name are on one machine, and so are nodes with one address.
    """
    alive = [node for node in nodes if node["Alive"]]
    hosts = {node["NodeManagerHostname"] for node in alive}
    addresses = {node["NodeManagerAddress"] for node in alive}
    return min(len(hosts), len(addresses))
