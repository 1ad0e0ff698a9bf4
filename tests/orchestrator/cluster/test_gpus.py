"""Whether the GPUs of a machine suffice for the engines of a run; no Ray is started."""

from __future__ import annotations

import pytest

pytest.importorskip("ray")

from nbest import FakeBackend, SeededAnswers
from nbest.model_backend.vllm.reward import VLLMReward
from nbest.model_backend.vllm.settings import VLLM
from nbest.orchestrator.cluster import gpus as room
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.errors import InputError


def model(gpus: float) -> FakeBackend:
    return FakeBackend(script=SeededAnswers(answers=("42",), weights=(1,)), gpus=gpus)


def complaint(
    monkeypatch: pytest.MonkeyPatch,
    gpus: int,
    own: float | None,
    others: tuple[float, ...],
    cluster: Cluster,
) -> str:
    """What is said of a run on so many GPUs; empty where there is room."""
    monkeypatch.setattr(room.ray, "cluster_resources", lambda: {"GPU": float(gpus)})
    backend = None if own is None else model(own)
    try:
        room.require_gpus(cluster, backend, [model(share) for share in others])
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("gpus", "own", "others", "engines", "each"),
    [
        (0, 1, (1,), 4, 1),  # nothing to share out: they run without
        (1, None, (1,), 1, 1),  # all are for the models of scorers
        (1, 0.5, (0.4,), 1, 1),
        (1, 0.3, (0.3,), 1, 2),
        (1, 0.45, (), 2, 1),
        (2, 1, (0.5, 0.5), 1, 1),
        (2, 0.4, (0.6, 0.6), 2, 1),
        (4, 2, (1, 1), 1, 1),
        (1, 0, (1,), 1, 1),  # an endpoint samples, a reward model has the GPU
    ],
)
def test_what_has_room(
    gpus: int,
    own: float | None,
    others: tuple[float, ...],
    engines: int,
    each: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(engines=engines, reward_engines=each)
    assert complaint(monkeypatch, gpus, own, others, cluster) == ""


@pytest.mark.parametrize(
    ("gpus", "own", "others", "engines", "each", "said"),
    [
        (1, None, (1,), 1, 2, "reward_engines must need no more than the 1 GPUs"),
        (1, 1, (1,), 1, 1, "reward_engines must leave a GPU of the 1 of this machine"),
        (1, 0.5, (0.6,), 1, 1, "reward_engines must leave a GPU of the 1 of this machine"),
        (1, 0.45, (), 3, 1, "engines must be at most 2 on the 1 GPUs of this machine, 0.45 an"),
        (2, 1, (0.5, 0.5), 2, 1, "engines must be at most 1 on the 2 GPUs"),
        (2, 0.6, (0.3, 0.3), 2, 1, "gpu_memory_utilization must share the 2 GPUs"),
        (2, 0.6, (), 3, 1, "gpu_memory_utilization must share the 2 GPUs"),
        (2, 1, (0.6, 0.3), 1, 1, ""),
        (2, 2, (0.5,), 1, 1, "gpus_per_engine must be at most 1.5"),
    ],
)
def test_what_has_none(
    gpus: int,
    own: float | None,
    others: tuple[float, ...],
    engines: int,
    each: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(engines=engines, reward_engines=each)
    line = complaint(monkeypatch, gpus, own, others, cluster)
    assert line.startswith(said)
    assert bool(line) == bool(said)


@pytest.mark.parametrize("kind", [VLLM, VLLMReward])
def test_an_engine_that_leaves_memory_shares_its_gpu(kind: type[VLLM] | type[VLLMReward]) -> None:
    assert kind("m").gpus == 1
    assert kind("m", gpu_memory_utilization=0.45).gpus == 0.45
    assert kind("m", gpu_memory_utilization=0.95).gpus == 1
    assert kind("m", gpu_memory_utilization=0.45, tensor_parallel_size=2).gpus == 2
