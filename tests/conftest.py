"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# No test is timed: an example that takes long on a busy machine is no failure.
settings.register_profile("nbest", deadline=None)
settings.load_profile("nbest")
