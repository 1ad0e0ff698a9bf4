"""Fan-out, strategies, the store, the cluster. Public names; each is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.local import ask, run
    from orchestrator.protocols import (
        Backend,
        BackendConfig,
        Equivalence,
        Extractor,
        Sampler,
        Scorer,
        Strategy,
        Validator,
    )
    from orchestrator.selection import WholeText
    from orchestrator.strategies import BestOfN
    from orchestrator.types import (
        Candidates,
        Constraint,
        Message,
        Outcome,
        Query,
        Record,
        Request,
        Sample,
        SamplingParams,
        Scores,
        Selection,
        Status,
        TopLogprobs,
        Usage,
    )

__all__ = [
    "Backend",
    "BackendConfig",
    "BestOfN",
    "Candidates",
    "Constraint",
    "Equivalence",
    "Extractor",
    "Message",
    "Outcome",
    "Query",
    "Record",
    "Request",
    "Sample",
    "Sampler",
    "SamplingParams",
    "Scorer",
    "Scores",
    "Selection",
    "Status",
    "Strategy",
    "TopLogprobs",
    "Usage",
    "Validator",
    "WholeText",
    "ask",
    "run",
]

_HOMES = {
    "ask": "local",
    "run": "local",
    "BestOfN": "strategies",
    "WholeText": "selection",
    "Backend": "protocols",
    "BackendConfig": "protocols",
    "Equivalence": "protocols",
    "Extractor": "protocols",
    "Sampler": "protocols",
    "Scorer": "protocols",
    "Strategy": "protocols",
    "Validator": "protocols",
}


def __getattr__(name: str) -> object:
    # So that a command line that only prints its help pays for no NumPy and no Arrow.
    if name not in __all__:
        raise AttributeError(f"module 'orchestrator' has no attribute {name!r}")
    return getattr(import_module(f"orchestrator.{_HOMES.get(name, 'types')}"), name)
