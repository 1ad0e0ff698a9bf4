"""What the id of a sample says."""

from __future__ import annotations

from nbest.orchestrator.types import Sample


def index_of(sample: Sample) -> int:
    """The index in `RUN/QUERY/sINDEX`."""
    return int(sample.id.rpartition("/s")[2])
