"""Settings of a run on Ray: how many engines and workers, and where. Does not import Ray."""

from __future__ import annotations

from dataclasses import dataclass

from nbest.orchestrator.requirements import require

STALL_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The processes of a run on Ray.

    Example: `Cluster(engines=8, workers=2, address="auto")` on eight GPUs of a running cluster
    """

    address: str | None = None  # of a running Ray cluster; None starts Ray on this machine
    engines: int = 1
    workers: int = 1
    reward_engines: int = 1  # for each model that scorers need
    cpus_per_engine: float = 1.0  # that Ray sets aside for each engine
    gpus_per_engine: int | None = None  # None: what the backend says, where there are any GPUs
    engines_span_nodes: bool = False  # the GPUs of an engine may be on several nodes
    shared_folder: bool = False  # the user knows that all nodes share the run directory
    allow_unauthenticated: bool = False  # join a Ray cluster that asks nobody for a token
    metrics_port: int | None = None  # of Ray's page of metrics, where this run starts Ray
    stall_timeout_s: float = STALL_TIMEOUT_S  # a process that is silent for so long is replaced

    def __post_init__(self) -> None:
        require(self.engines >= 1, "engines", "be at least 1", self.engines)
        require(self.workers >= 1, "workers", "be at least 1", self.workers)
        count = self.reward_engines
        require(count >= 1, "reward_engines", "be at least 1", count)
        require(self.cpus_per_engine >= 0, "cpus_per_engine", "be 0 or more", self.cpus_per_engine)
        port = self.metrics_port
        require(port is None or 0 < port < 65536, "metrics_port", "lie in 1..65535", port)
        require(self.stall_timeout_s > 0, "stall_timeout_s", "be above 0", self.stall_timeout_s)
