"""Settings of all tests, and which of them share a process where there are several."""

from __future__ import annotations

import pytest
from hypothesis import settings

# No test is timed: an example that takes long on a busy machine is no failure.
settings.register_profile("nbest", deadline=None)
settings.load_profile("nbest")

ENGINES = "engines"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file stays together, for its fixtures start clusters and models.

    All files that start real engines are one group, so that one engine runs at a time while other
    processes go through the rest. It comes first, and those that start Ray next: what takes longest
    must not be left to the end, where the others would have nothing to do.
    """
    engines = {item.path for item in items if item.get_closest_marker("engine")}
    clusters = {item.path for item in items if item.get_closest_marker("ray")}
    for item in items:
        group = ENGINES if item.path in engines else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: (item.path not in engines, item.path not in clusters))
