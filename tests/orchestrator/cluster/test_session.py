"""Where engines are put: on raylets of one machine that declare GPUs which are not there.

Every test that starts engines needs GPUs which the one before it had: none may keep them.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nbest import FakeBackend, SeededAnswers
from nbest.orchestrator.cluster.actors import placement_groups, start_engines
from nbest.orchestrator.cluster.gpus import gpus_per_engine
from nbest.orchestrator.cluster.session import marked_folder, num_machines
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.cluster.shared_folder import check_mark
from nbest.orchestrator.cluster.worker import EngineHandle

ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster as Raylets  # noqa: E402
from ray.util.placement_group import placement_group_table  # noqa: E402

pytestmark = [
    pytest.mark.ray,
    # Ray's own test cluster leaves sockets open, which the garbage collector finds at some time.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

GPU_NODES = 2
GPUS_A_NODE = 2


@pytest.fixture(scope="module", autouse=True)
def raylets() -> Iterator[None]:
    """A head without GPUs and two nodes of two."""
    cluster = Raylets(initialize_head=True, head_node_args={"num_cpus": 4, "num_gpus": 0})
    for _ in range(GPU_NODES):
        cluster.add_node(num_cpus=4, num_gpus=GPUS_A_NODE)
    ray.init(address=cluster.address, log_to_driver=False)
    yield
    ray.shutdown()
    cluster.shutdown()


def backend(gpus: float) -> FakeBackend:
    return FakeBackend(script=SeededAnswers(answers=("42",), weights=(1,)), gpus=gpus)


async def ready(handles: Sequence[EngineHandle]) -> None:
    await asyncio.gather(*(handle.actor.ready.remote() for handle in handles))


async def place_of(handle: EngineHandle) -> tuple[str, str, int]:
    """Return its node, its placement group, and how many GPUs Ray gave to the actor itself."""

    def look(server: object) -> tuple[str, str, int]:
        context = ray.get_runtime_context()
        group = context.get_placement_group_id() or ""
        return context.get_node_id(), group, len(ray.get_gpu_ids())

    node, group, gpus = await handle.actor.__ray_call__.remote(look)
    return str(node), str(group), int(gpus)


def states(groups: Sequence[Any]) -> list[str]:
    return [placement_group_table(group)["state"] for group in groups]


async def test_engines_that_take_a_share_of_a_gpu_have_it_together() -> None:
    """One engine more than there are GPUs starts, and each is on one GPU."""
    handles = start_engines(backend(0.5), Cluster(engines=GPU_NODES * GPUS_A_NODE + 1))
    await ready(handles)
    places = [await place_of(handle) for handle in handles]
    for handle in handles:
        ray.kill(handle.actor)
    assert [gpus for _, _, gpus in places] == [1] * len(handles)


async def test_an_engine_that_stays_on_a_node_has_all_its_gpus_there_and_no_group() -> None:
    cluster = Cluster(engines=2, engines_span_nodes=False)
    with placement_groups(backend(2), cluster) as groups:
        handles = start_engines(backend(2), cluster, groups)
        await ready(handles)
        places = [await place_of(handle) for handle in handles]
    assert groups == []
    assert len({node for node, _, _ in places}) == 2  # two GPUs are a whole node
    assert [(group, gpus) for _, group, gpus in places] == [("", 2), ("", 2)]


async def test_an_engine_that_spans_nodes_holds_a_gpu_a_bundle() -> None:
    cluster = Cluster(engines=1, engines_span_nodes=True, cpus_per_engine=2)
    with placement_groups(backend(3), cluster) as groups:
        handles = start_engines(backend(3), cluster, groups)
        await ready(handles)
        ((node, group_id, gpus),) = [await place_of(handle) for handle in handles]
        (group,) = groups
        table = placement_group_table(group)
        assert table["bundles"] == {0: {"CPU": 2.0, "GPU": 1.0}, 1: {"GPU": 1.0}, 2: {"GPU": 1.0}}
        assert table["strategy"] == "PACK"
        assert len(set(table["bundles_to_node_id"].values())) == 2
        assert table["bundles_to_node_id"][0] == node
        assert (group_id, gpus) == (group.id.hex(), 0)
    assert states(groups) == ["REMOVED"]


async def test_a_child_of_a_spanning_engine_takes_its_gpu_in_the_group() -> None:
    """The child does as vLLM's ranks do."""
    cluster = Cluster(engines=1, engines_span_nodes=True)
    with placement_groups(backend(2), cluster) as groups:
        (handle,) = start_engines(backend(2), cluster, groups)
        await ready([handle])

        def rank(server: object) -> object:
            def where() -> tuple[str, int]:
                group = ray.get_runtime_context().get_placement_group_id()
                return str(group), len(ray.get_gpu_ids())

            return ray.remote(where).options(num_cpus=0, num_gpus=1).remote()

        place = await (await handle.actor.__ray_call__.remote(rank))
        assert tuple(place) == (groups[0].id.hex(), 1)


async def test_groups_go_when_the_run_fails() -> None:
    cluster = Cluster(engines=2, engines_span_nodes=True)
    copies: list[Any] = []
    with pytest.raises(RuntimeError), placement_groups(backend(2), cluster) as groups:  # noqa: PT012
        copies.extend(groups)
        raise RuntimeError
    assert states(copies) == ["REMOVED", "REMOVED"]


@pytest.mark.parametrize(
    ("cluster", "gpus", "expected"),
    [
        (Cluster(), 2, 2),
        (Cluster(gpus_per_engine=1), 2, 1),
        (Cluster(gpus_per_engine=0), 2, 0),
    ],
)
def test_a_setting_of_gpus_goes_before_the_backends(
    cluster: Cluster, gpus: int, expected: int
) -> None:
    assert gpus_per_engine(backend(gpus), cluster) == expected


def test_engines_of_one_gpu_span_nothing() -> None:
    with placement_groups(backend(1), Cluster(engines_span_nodes=True)) as groups:
        assert groups == []


def node(host: str, address: str, *, alive: bool = True) -> dict[str, object]:
    return {"NodeManagerHostname": host, "NodeManagerAddress": address, "Alive": alive}


def test_raylets_of_one_machine_are_one_machine() -> None:
    assert num_machines(ray.nodes()) == 1
    assert num_machines([node("a", "10.0.0.1"), node("a", "10.0.0.2")]) == 1
    assert num_machines([node("a", "10.0.0.1"), node("b", "10.0.0.1")]) == 1
    assert num_machines([node("a", "10.0.0.1"), node("b", "10.0.0.2")]) == 2
    assert num_machines([node("a", "10.0.0.1"), node("b", "10.0.0.2", alive=False)]) == 1


def test_the_mark_is_there_for_the_time_of_the_run(tmp_path: Path) -> None:
    with marked_folder(str(tmp_path), Cluster()) as mark:
        assert mark is not None
        check_mark(str(tmp_path), mark)
    assert os.listdir(tmp_path) == []
    with marked_folder(None, Cluster()) as mark:
        assert mark is None


LOCAL = """
import json, os, sys
from nbest import FakeBackend, SeededAnswers
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.cluster.session import ray_session

os.umask(0o022)
backend = FakeBackend(script=SeededAnswers(answers=("42",), weights=(1,)), gpus=2)
lines = []
for settings in json.loads(sys.argv[1]):
    try:
        with ray_session(Cluster(**settings), backend):
            lines.append("started")
    except ValueError as error:
        lines.append(f"{type(error).__name__}: {error}")
print(json.dumps(lines))
"""


def test_what_this_machine_can_never_hold_is_wrong_input_at_once(tmp_path: Path) -> None:
    """Ray runs in a process with a home of its own, where it leaves its token."""
    cpus = os.cpu_count() or 1
    clusters: list[dict[str, object]] = [
        {"cpus_per_engine": cpus + 1},
        {"gpus_per_engine": 10_000},
        {"engines": 2 * cpus, "gpus_per_engine": 0},
    ]
    environment = {key: os.environ[key] for key in os.environ if not key.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", LOCAL, json.dumps(clusters)],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    too_many_cpus, too_many_gpus, fits = json.loads(done.stdout.splitlines()[-1])
    assert too_many_cpus == (
        f"InputError: cpus_per_engine must be at most {cpus}, the number of CPUs of this machine, "
        f"got {cpus + 1}"
    )
    assert too_many_gpus.startswith("InputError: gpus_per_engine must be at most ")
    assert too_many_gpus.endswith(", the number of GPUs of this machine, got 10000")
    assert fits == "started"
    assert (tmp_path / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600
