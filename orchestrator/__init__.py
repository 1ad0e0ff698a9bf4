"""Fan-out, strategies, the store, the cluster. Public names; each is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.adaptive import Adaptive
    from orchestrator.budget import BatchBudget
    from orchestrator.deep_conf import DeepConf
    from orchestrator.local import ask, run
    from orchestrator.protocols import (
        Backend,
        BackendConfig,
        BatchStrategy,
        Equivalence,
        Extractor,
        ModelCalls,
        Sampler,
        Scorer,
        Strategy,
        Validator,
    )
    from orchestrator.race import RaceToValid
    from orchestrator.score_rules import ReservationStop, ScoreRule, WeightedConsensus
    from orchestrator.selection import WholeText
    from orchestrator.stop_rules import (
        BetaStop,
        EValueStop,
        StopRule,
        UnanimousWindow,
        VoteStands,
    )
    from orchestrator.strategies import BestOfN
    from orchestrator.types import (
        Candidates,
        ConfidenceFloor,
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
    from orchestrator.within_budget import WithinBudget

__all__ = [
    "Adaptive",
    "Backend",
    "BackendConfig",
    "BatchBudget",
    "BatchStrategy",
    "BestOfN",
    "BetaStop",
    "Candidates",
    "ConfidenceFloor",
    "Constraint",
    "DeepConf",
    "EValueStop",
    "Equivalence",
    "Extractor",
    "Message",
    "ModelCalls",
    "Outcome",
    "Query",
    "RaceToValid",
    "Record",
    "Request",
    "ReservationStop",
    "Sample",
    "Sampler",
    "SamplingParams",
    "ScoreRule",
    "Scorer",
    "Scores",
    "Selection",
    "Status",
    "StopRule",
    "Strategy",
    "TopLogprobs",
    "UnanimousWindow",
    "Usage",
    "Validator",
    "VoteStands",
    "WeightedConsensus",
    "WholeText",
    "WithinBudget",
    "ask",
    "run",
]

_HOMES = {
    "ask": "local",
    "run": "local",
    "Adaptive": "adaptive",
    "RaceToValid": "race",
    "BetaStop": "stop_rules",
    "EValueStop": "stop_rules",
    "StopRule": "stop_rules",
    "UnanimousWindow": "stop_rules",
    "VoteStands": "stop_rules",
    "BatchBudget": "budget",
    "WithinBudget": "within_budget",
    "DeepConf": "deep_conf",
    "ReservationStop": "score_rules",
    "ScoreRule": "score_rules",
    "WeightedConsensus": "score_rules",
    "BestOfN": "strategies",
    "WholeText": "selection",
    "Backend": "protocols",
    "BackendConfig": "protocols",
    "BatchStrategy": "protocols",
    "Equivalence": "protocols",
    "ModelCalls": "protocols",
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
