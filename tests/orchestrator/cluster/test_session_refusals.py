"""Clusters that cannot be joined or started end in one line, in seconds; none is started here."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from nbest.model_backend.fake.rewards import fake_rewards
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.errors import BackendError, InputError

pytest.importorskip("ray")
from nbest.orchestrator.cluster import session
from nbest.orchestrator.cluster.session import ray_session

pytestmark = pytest.mark.timeout(60)


def test_a_cluster_that_is_not_there_is_refused_in_seconds() -> None:
    """Ray itself would wait for it without end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (
        pytest.raises(InputError, match="address must be that of a Ray cluster that answers"),
        ray_session(Cluster(address=f"127.0.0.1:{port}", workers=1)),
    ):
        pytest.fail("nobody listens there")


def test_a_server_of_something_else_is_no_cluster() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(InputError, match="that answers"),
        ray_session(Cluster(address=f"127.0.0.1:{listener.getsockname()[1]}", workers=1)),
    ):
        pytest.fail("it does not speak Ray's language")


def test_a_long_path_for_sockets_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("x" * 100)))
    (tmp_path / ("x" * 100)).mkdir()
    with (
        pytest.raises(BackendError, match=r"Ray cannot be started: .*set RAY_TMPDIR"),
        ray_session(Cluster()),
    ):
        pytest.fail("Ray has started")


@pytest.mark.parametrize(("rewards", "fits"), [(1, True), (2, False)])
def test_without_a_model_that_samples_all_gpus_are_for_reward_models(
    monkeypatch: pytest.MonkeyPatch, rewards: int, fits: bool
) -> None:
    monkeypatch.setattr(session.ray, "cluster_resources", lambda: {"GPU": 1.0})
    cluster, models = Cluster(reward_engines=rewards), [replace(fake_rewards(), gpus=1)]
    if fits:
        session._require_room(cluster, None, models)
    else:
        with pytest.raises(InputError, match="reward_engines must need no more than the 1 GPUs"):
            session._require_room(cluster, None, models)
