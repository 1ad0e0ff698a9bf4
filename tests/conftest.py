"""Settings of all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# No test is timed: an example that takes long on a busy machine is no failure. Each run looks at
# other examples; HYPOTHESIS_PROFILE=long looks at many.
settings.register_profile("nbest", deadline=None, max_examples=30)
settings.register_profile("long", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "nbest"))

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several processes share the cores: two threads of PyTorch in each would wait for each other,
    # spinning, and a training of 10 seconds would take minutes. It is read when torch is imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Commands and Ray's workers are processes of their own: each would compile all of nbest again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Ray makes its workers nicer than all else by 15: engines in them would wait for all other tests.
os.environ.setdefault("RAY_worker_niceness", "0")


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """One Ray for all tests of a file: `ray_session` joins it. A start takes some ten seconds."""
    ray = pytest.importorskip("ray")
    ray.init(address="local", num_cpus=16, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


TESTS = Path(__file__).parent
COVERED = [TESTS / "orchestrator", TESTS / "scorers"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files that start Ray first: what waits a lot must not be left to the end, where the
    other processes would have nothing to do. Count lines only in the tests of the rooms whose
    coverage is asked for, and not in those that repeat the same lines many times: counting costs a
    quarter of the time."""
    clusters = {item.path for item in items if item.get_closest_marker("ray")}
    items.sort(key=lambda item: item.path not in clusters)
    for item in items:
        is_covered = any(item.path.is_relative_to(room) for room in COVERED)
        test = getattr(item, "obj", None)
        is_repeated = getattr(test, "is_hypothesis_test", False)
        if is_repeated or not is_covered:
            item.add_marker(pytest.mark.no_cover)
