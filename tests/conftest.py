"""Settings of all tests."""

from __future__ import annotations

import pytest
from hypothesis import settings

# No test is timed: an example that takes long on a busy machine is no failure.
settings.register_profile("nbest", deadline=None)
settings.load_profile("nbest")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start Ray come first: what waits a lot must not be left to the end, where the
    other processes would have nothing to do."""
    clusters = {item.path for item in items if item.get_closest_marker("ray")}
    items.sort(key=lambda item: item.path not in clusters)
