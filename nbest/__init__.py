"""Every public name of nbest, from one place; each is imported when it is first used.

    from nbest import BestOfN, MajorityVote, VLLM, ask

The four folders of the repository are rooms of this package, by links: `nbest.orchestrator` and so
on. They offer no names of their own: what is public is listed here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbest.model_backend.clocks import LoopClock, ManualClock
    from nbest.model_backend.fake import FakeBackend, Reply, SeededAnswers
    from nbest.model_backend.fake_rewards import Rewards
    from nbest.model_backend.reward_steps import Steps
    from nbest.model_backend.torch_reward import TorchReward
    from nbest.model_backend.vllm import VLLM
    from nbest.model_backend.vllm_reward import VLLMReward
    from nbest.orchestrator.adaptive import Adaptive
    from nbest.orchestrator.budget import BatchBudget
    from nbest.orchestrator.deep_conf import DeepConf
    from nbest.orchestrator.local import ask, run
    from nbest.orchestrator.protocols import (
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
    from nbest.orchestrator.race import RaceToValid
    from nbest.orchestrator.score_rules import ReservationStop, ScoreRule, WeightedConsensus
    from nbest.orchestrator.selection import WholeText
    from nbest.orchestrator.stop_rules import (
        BetaStop,
        EValueStop,
        StopRule,
        UnanimousWindow,
        VoteStands,
    )
    from nbest.orchestrator.strategies import BestOfN
    from nbest.orchestrator.types import (
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
    from nbest.orchestrator.within_budget import WithinBudget
    from nbest.scorers.among import AmongValid
    from nbest.scorers.best_of_k import best_of_k
    from nbest.scorers.best_of_majority import BestOfMajority
    from nbest.scorers.borda import Borda
    from nbest.scorers.choice import ChoiceLetter
    from nbest.scorers.code_block import CodeBlock
    from nbest.scorers.confidence import Confidence
    from nbest.scorers.coverage import all_at_k, extrapolate, fit_beta_binomial, fit_power_law
    from nbest.scorers.equivalence import ChoiceEquivalence, JsonEquivalence, NumberEquivalence
    from nbest.scorers.equivalence_math import MathEquivalence
    from nbest.scorers.equivalence_sql import SqlResultEquivalence
    from nbest.scorers.estimators import Interval, clustered_interval, pass_at_k, wilson_interval
    from nbest.scorers.extract import AfterMarker, Boxed, FinalAnswer, LastNumber, Regex
    from nbest.scorers.judge import Judge
    from nbest.scorers.length import Longest, Shortest
    from nbest.scorers.logprob import (
        LengthPenalisedLogprob,
        MeanLogprob,
        Perplexity,
        SumLogprob,
        mean_logprob,
        sum_logprob,
    )
    from nbest.scorers.majority_at_k import majority_at_k
    from nbest.scorers.majority_of_bests import MajorityOfBests
    from nbest.scorers.number import canonical_number
    from nbest.scorers.over_optimisation import Watch, watch
    from nbest.scorers.paired import Difference, mcnemar, paired_difference
    from nbest.scorers.person import UserChoice
    from nbest.scorers.pessimistic import Pessimistic
    from nbest.scorers.position import First, Random
    from nbest.scorers.python_tests import PassesTests
    from nbest.scorers.reward import RewardModel
    from nbest.scorers.risk import MinimumBayesRisk
    from nbest.scorers.routed_vote import RoutedVote
    from nbest.scorers.self_certainty import SelfCertainty, self_certainty
    from nbest.scorers.sql_valid import SqlValid
    from nbest.scorers.stored_score import StoredScore
    from nbest.scorers.top_vote import TopVote
    from nbest.scorers.tournament import Tournament
    from nbest.scorers.universal_vote import UniversalVote
    from nbest.scorers.valid import FirstValid
    from nbest.scorers.validators import AllOf, JsonValid, Matches, Satisfies
    from nbest.scorers.vote import MajorityVote, vote_shares
    from nbest.scorers.weighted_at_k import weighted_choices
    from nbest.scorers.weighted_vote import WeightedVote
    from nbest.scorers.yaml_valid import YamlValid

__version__: str

__all__ = [
    "VLLM",
    "Adaptive",
    "AfterMarker",
    "AllOf",
    "AmongValid",
    "Backend",
    "BackendConfig",
    "BatchBudget",
    "BatchStrategy",
    "BestOfMajority",
    "BestOfN",
    "BetaStop",
    "Borda",
    "Boxed",
    "Candidates",
    "ChoiceEquivalence",
    "ChoiceLetter",
    "CodeBlock",
    "Confidence",
    "ConfidenceFloor",
    "Constraint",
    "DeepConf",
    "Difference",
    "EValueStop",
    "Equivalence",
    "Extractor",
    "FakeBackend",
    "FinalAnswer",
    "First",
    "FirstValid",
    "Interval",
    "JsonEquivalence",
    "JsonValid",
    "Judge",
    "LastNumber",
    "LengthPenalisedLogprob",
    "Longest",
    "LoopClock",
    "MajorityOfBests",
    "MajorityVote",
    "ManualClock",
    "Matches",
    "MathEquivalence",
    "MeanLogprob",
    "Message",
    "MinimumBayesRisk",
    "ModelCalls",
    "NumberEquivalence",
    "Outcome",
    "PassesTests",
    "Perplexity",
    "Pessimistic",
    "Query",
    "RaceToValid",
    "Random",
    "Record",
    "Regex",
    "Reply",
    "Request",
    "ReservationStop",
    "RewardModel",
    "Rewards",
    "RoutedVote",
    "Sample",
    "Sampler",
    "SamplingParams",
    "Satisfies",
    "ScoreRule",
    "Scorer",
    "Scores",
    "SeededAnswers",
    "Selection",
    "SelfCertainty",
    "Shortest",
    "SqlResultEquivalence",
    "SqlValid",
    "Status",
    "Steps",
    "StopRule",
    "StoredScore",
    "Strategy",
    "SumLogprob",
    "TopLogprobs",
    "TopVote",
    "TorchReward",
    "Tournament",
    "UnanimousWindow",
    "UniversalVote",
    "Usage",
    "UserChoice",
    "VLLMReward",
    "Validator",
    "VoteStands",
    "Watch",
    "WeightedConsensus",
    "WeightedVote",
    "WholeText",
    "WithinBudget",
    "YamlValid",
    "all_at_k",
    "ask",
    "best_of_k",
    "canonical_number",
    "clustered_interval",
    "extrapolate",
    "fit_beta_binomial",
    "fit_power_law",
    "majority_at_k",
    "mcnemar",
    "mean_logprob",
    "paired_difference",
    "pass_at_k",
    "run",
    "self_certainty",
    "sum_logprob",
    "vote_shares",
    "watch",
    "weighted_choices",
    "wilson_interval",
]

_NAMES = {
    "model_backend.clocks": (
        "LoopClock",
        "ManualClock",
    ),
    "model_backend.fake": (
        "FakeBackend",
        "Reply",
        "SeededAnswers",
    ),
    "model_backend.fake_rewards": ("Rewards",),
    "model_backend.reward_steps": ("Steps",),
    "model_backend.torch_reward": ("TorchReward",),
    "model_backend.vllm": ("VLLM",),
    "model_backend.vllm_reward": ("VLLMReward",),
    "orchestrator.adaptive": ("Adaptive",),
    "orchestrator.budget": ("BatchBudget",),
    "orchestrator.deep_conf": ("DeepConf",),
    "orchestrator.local": (
        "ask",
        "run",
    ),
    "orchestrator.protocols": (
        "Backend",
        "BackendConfig",
        "BatchStrategy",
        "Equivalence",
        "Extractor",
        "ModelCalls",
        "Sampler",
        "Scorer",
        "Strategy",
        "Validator",
    ),
    "orchestrator.race": ("RaceToValid",),
    "orchestrator.score_rules": (
        "ReservationStop",
        "ScoreRule",
        "WeightedConsensus",
    ),
    "orchestrator.selection": ("WholeText",),
    "orchestrator.stop_rules": (
        "BetaStop",
        "EValueStop",
        "StopRule",
        "UnanimousWindow",
        "VoteStands",
    ),
    "orchestrator.strategies": ("BestOfN",),
    "orchestrator.types": (
        "Candidates",
        "ConfidenceFloor",
        "Constraint",
        "Message",
        "Outcome",
        "Query",
        "Record",
        "Request",
        "Sample",
        "SamplingParams",
        "Scores",
        "Selection",
        "Status",
        "TopLogprobs",
        "Usage",
    ),
    "orchestrator.within_budget": ("WithinBudget",),
    "scorers.among": ("AmongValid",),
    "scorers.best_of_k": ("best_of_k",),
    "scorers.best_of_majority": ("BestOfMajority",),
    "scorers.borda": ("Borda",),
    "scorers.choice": ("ChoiceLetter",),
    "scorers.code_block": ("CodeBlock",),
    "scorers.confidence": ("Confidence",),
    "scorers.coverage": (
        "all_at_k",
        "extrapolate",
        "fit_beta_binomial",
        "fit_power_law",
    ),
    "scorers.equivalence": (
        "ChoiceEquivalence",
        "JsonEquivalence",
        "NumberEquivalence",
    ),
    "scorers.equivalence_math": ("MathEquivalence",),
    "scorers.equivalence_sql": ("SqlResultEquivalence",),
    "scorers.estimators": (
        "Interval",
        "clustered_interval",
        "pass_at_k",
        "wilson_interval",
    ),
    "scorers.extract": (
        "AfterMarker",
        "Boxed",
        "FinalAnswer",
        "LastNumber",
        "Regex",
    ),
    "scorers.judge": ("Judge",),
    "scorers.length": (
        "Longest",
        "Shortest",
    ),
    "scorers.logprob": (
        "LengthPenalisedLogprob",
        "MeanLogprob",
        "Perplexity",
        "SumLogprob",
        "mean_logprob",
        "sum_logprob",
    ),
    "scorers.majority_at_k": ("majority_at_k",),
    "scorers.majority_of_bests": ("MajorityOfBests",),
    "scorers.number": ("canonical_number",),
    "scorers.over_optimisation": (
        "Watch",
        "watch",
    ),
    "scorers.paired": (
        "Difference",
        "mcnemar",
        "paired_difference",
    ),
    "scorers.person": ("UserChoice",),
    "scorers.pessimistic": ("Pessimistic",),
    "scorers.position": (
        "First",
        "Random",
    ),
    "scorers.python_tests": ("PassesTests",),
    "scorers.reward": ("RewardModel",),
    "scorers.risk": ("MinimumBayesRisk",),
    "scorers.routed_vote": ("RoutedVote",),
    "scorers.self_certainty": (
        "SelfCertainty",
        "self_certainty",
    ),
    "scorers.sql_valid": ("SqlValid",),
    "scorers.stored_score": ("StoredScore",),
    "scorers.top_vote": ("TopVote",),
    "scorers.tournament": ("Tournament",),
    "scorers.universal_vote": ("UniversalVote",),
    "scorers.valid": ("FirstValid",),
    "scorers.validators": (
        "AllOf",
        "JsonValid",
        "Matches",
        "Satisfies",
    ),
    "scorers.vote": (
        "MajorityVote",
        "vote_shares",
    ),
    "scorers.weighted_at_k": ("weighted_choices",),
    "scorers.weighted_vote": ("WeightedVote",),
    "scorers.yaml_valid": ("YamlValid",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}


if not TYPE_CHECKING:  # a type checker shall miss what is not there

    def __getattr__(name: str) -> object:
        # So that a command line that only prints its help pays for no NumPy and no Arrow.
        if name == "__version__":
            return import_module("importlib.metadata").version("nbest")
        if name not in _HOMES:
            raise AttributeError(f"module 'nbest' has no attribute {name!r}")
        return getattr(import_module(f"nbest.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
