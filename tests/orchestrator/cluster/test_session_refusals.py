"""Clusters that cannot be joined or started end in one line, in seconds; none is started here."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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


class SlowRay:
    """Stands in for `ray.init`: its process is there, but it has not answered in time."""

    def __init__(self, slow: int) -> None:
        self.slow = slow
        self.started: list[subprocess.Popen[bytes]] = []

    def init(self, **_: object) -> None:
        code = "import time; print(flush=True); time.sleep(600)"
        command = [sys.executable, "-c", code, "/site-packages/ray/raylet"]
        self.started.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        stdout = self.started[-1].stdout
        assert stdout is not None
        stdout.readline()
        if len(self.started) <= self.slow:
            raise Exception("The current node timed out during startup. This could happen")


@pytest.fixture
def start_slowly(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], SlowRay]]:
    slow_rays = []

    def patch(slow: int) -> SlowRay:
        slow_rays.append(SlowRay(slow))
        monkeypatch.setattr(session.ray, "init", slow_rays[-1].init)
        return slow_rays[-1]

    yield patch
    for slow_ray in slow_rays:
        for process in slow_ray.started:
            process.kill()
            process.communicate()


def test_ray_is_started_again_where_its_processes_were_too_slow(
    start_slowly: Callable[[int], SlowRay], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_ray = start_slowly(2)
    monkeypatch.setattr(session.ray, "cluster_resources", dict)
    with ray_session(Cluster()):
        *slow, last = slow_ray.started
        assert [process.wait(timeout=60) for process in slow] == [-signal.SIGKILL] * 2
        assert last.poll() is None


def test_processes_of_ray_that_never_answer_are_one_line(
    start_slowly: Callable[[int], SlowRay],
) -> None:
    slow_ray = start_slowly(session.STARTS)
    with pytest.raises(BackendError, match="too slow 3 times"), ray_session(Cluster()):
        pytest.fail("Ray has started")
    assert [process.wait(timeout=60) for process in slow_ray.started] == [-signal.SIGKILL] * 3
