"""The GPUs of the engines of a run: how many are set aside for each, and whether they are there."""

from __future__ import annotations

from collections.abc import Sequence

import ray

from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.protocols import BackendConfig
from nbest.orchestrator.requirements import require

_ROUNDING = 1e-9  # of sums of shares


def gpus_per_engine(backend: BackendConfig, cluster: Cluster) -> float:
    """How many GPUs Ray sets aside for one engine; below 1, the share of one."""
    if cluster.gpus_per_engine is not None:
        return cluster.gpus_per_engine
    return backend.gpus if gpus_of_cluster() else 0


def gpus_of_cluster() -> int:
    """The GPUs that Ray knows of."""
    return int(ray.cluster_resources().get("GPU", 0))


def require_gpus(
    cluster: Cluster, backend: BackendConfig | None, models: Sequence[BackendConfig]
) -> None:
    """Raise InputError where this machine has too few GPUs: Ray would wait for them for ever."""
    gpus = gpus_of_cluster()
    wanted = [m.gpus for m in models for _ in range(cluster.reward_engines)] if gpus else []
    per_engine = 0.0 if backend is None else gpus_per_engine(backend, cluster)
    rule = f"need no more than the {gpus} GPUs of this machine"
    if per_engine > 0:
        rule = f"leave a GPU of the {gpus} of this machine to the model that samples"
    fits = sum(wanted) <= gpus - min(1.0, per_engine) + _ROUNDING
    require(fits or not wanted, "reward_engines", rule, cluster.reward_engines)
    room = gpus - sum(wanted)
    rule = f"be at most {room:g}, the number of GPUs of this machine"
    require(per_engine <= room + _ROUNDING, "gpus_per_engine", rule, per_engine)
    if per_engine > 0:
        most = int(room / per_engine + _ROUNDING)
        rule = f"be at most {most} on the {gpus} GPUs of this machine, {per_engine:g} an engine"
        require(cluster.engines <= most, "engines", rule, cluster.engines)
        wanted += [per_engine] * cluster.engines
    rule = f"share the {gpus} GPUs of this machine, so that no engine is on two of them"
    require(not wanted or _can_share(gpus, wanted), "gpu_memory_utilization", rule, wanted)


def _can_share(gpus: int, wanted: Sequence[float]) -> bool:
    """Whether engines that come in this order fit: a share goes to the fullest GPU that has room.

    So does Ray place them; an engine of whole GPUs wants them empty.
    """
    free = [1.0] * gpus
    for share in wanted:
        if share < 1:
            fitting = [gpu for gpu in range(gpus) if free[gpu] >= share - _ROUNDING]
            if not fitting:
                return False
            free[min(fitting, key=lambda gpu: free[gpu])] -= share
            continue
        empty = [gpu for gpu in range(gpus) if free[gpu] == 1.0]
        if len(empty) < share:
            return False
        for gpu in empty[: int(share)]:
            free[gpu] = 0.0
    return True
