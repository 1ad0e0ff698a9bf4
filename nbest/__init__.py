"""Every public name of nbest, from one place; each is imported when it is first used.

    from nbest import BestOfN, MajorityVote, VLLM, ask

The four folders of the repository are rooms of this package, by links: `nbest.orchestrator` and so
on. They offer no names of their own: what is public is listed here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbest.experiments.output.ask import ask
    from nbest.experiments.output.open_model import OpenModel, open_model
    from nbest.experiments.output.structured_output import Output, StructuredOutput
    from nbest.experiments.runs.exchange.run_tables import RunTables, load
    from nbest.model_backend.fake.chains import ChainScript
    from nbest.model_backend.fake.clocks import LoopClock, ManualClock
    from nbest.model_backend.fake.engine import FakeBackend
    from nbest.model_backend.fake.rewards import Rewards
    from nbest.model_backend.fake.script import Reply, SeededAnswers
    from nbest.model_backend.openai.settings import Endpoint
    from nbest.model_backend.reward.steps import Steps
    from nbest.model_backend.reward.torch_settings import TorchReward
    from nbest.model_backend.vllm.reward import VLLMReward
    from nbest.model_backend.vllm.settings import VLLM
    from nbest.orchestrator.protocols import (
        AsksModel,
        Backend,
        BackendConfig,
        BatchStrategy,
        Bounded,
        Equivalence,
        Explains,
        Extractor,
        ModelCalls,
        NamedModel,
        NodeSampler,
        Pointwise,
        Rates,
        Sampler,
        Scorer,
        Strategy,
        Validator,
    )
    from nbest.orchestrator.query.panel import Arm, Panel
    from nbest.orchestrator.query.selection import WholeText
    from nbest.orchestrator.run.local import run
    from nbest.orchestrator.sampling_params import (
        ConfidenceFloor,
        Constraint,
        SamplingParams,
        Thinking,
    )
    from nbest.orchestrator.strategies.adaptive import Adaptive
    from nbest.orchestrator.strategies.best_of_n import BestOfN
    from nbest.orchestrator.strategies.budget import BatchBudget
    from nbest.orchestrator.strategies.cascade import Cascade, Stage
    from nbest.orchestrator.strategies.deep_conf import DeepConf
    from nbest.orchestrator.strategies.race import RaceToValid
    from nbest.orchestrator.strategies.search.best_first import UCT, BestFirst
    from nbest.orchestrator.strategies.search.branching import AdaptiveBranching
    from nbest.orchestrator.strategies.search.budget_forcing import BudgetForcing
    from nbest.orchestrator.strategies.search.corrected import Corrected
    from nbest.orchestrator.strategies.search.levels import DVTS, Beam, Rebase
    from nbest.orchestrator.strategies.search.particles import ParticleFilter
    from nbest.orchestrator.strategies.search.plan import Leaf, Node, Plan, PlanSettings
    from nbest.orchestrator.strategies.search.revise import Revise
    from nbest.orchestrator.strategies.search.search import Search
    from nbest.orchestrator.strategies.search.steps import Step
    from nbest.orchestrator.strategies.search.synthesis import Synthesis
    from nbest.orchestrator.strategies.stop_on_scores import (
        ReservationStop,
        ScoreRule,
        WeightedConsensus,
    )
    from nbest.orchestrator.strategies.stop_on_votes import (
        BetaStop,
        EValueStop,
        Margin,
        StopRule,
        UnanimousWindow,
        VoteStands,
    )
    from nbest.orchestrator.strategies.within_budget import WithinBudget
    from nbest.orchestrator.types import (
        Candidates,
        Composed,
        Message,
        Outcome,
        Query,
        Record,
        Request,
        Sample,
        Scores,
        Selection,
        Status,
        TopLogprobs,
        Usage,
    )
    from nbest.scorers.answers.choice_letter import ChoiceLetter
    from nbest.scorers.answers.code_block import CodeBlock
    from nbest.scorers.answers.extract import AfterMarker, Boxed, FinalAnswer, LastNumber, Regex
    from nbest.scorers.answers.number import canonical_number
    from nbest.scorers.baselines import First, Longest, Random, Shortest
    from nbest.scorers.confidence.logprob import (
        LengthPenalisedLogprob,
        MeanLogprob,
        Perplexity,
        SumLogprob,
        mean_logprob,
        sum_logprob,
    )
    from nbest.scorers.confidence.self_certainty import SelfCertainty, self_certainty
    from nbest.scorers.confidence.trace import Confidence
    from nbest.scorers.equivalence.mathematics import MathEquivalence
    from nbest.scorers.equivalence.plain import (
        ChoiceEquivalence,
        JsonEquivalence,
        NumberEquivalence,
    )
    from nbest.scorers.equivalence.sql_result import SqlResultEquivalence
    from nbest.scorers.estimators.best_of_k import best_of_k
    from nbest.scorers.estimators.coverage import extrapolate, fit_beta_binomial, fit_power_law
    from nbest.scorers.estimators.intervals import Interval, clustered_interval, wilson_interval
    from nbest.scorers.estimators.majority_at_k import majority_at_k
    from nbest.scorers.estimators.over_optimisation import Watch, watch
    from nbest.scorers.estimators.paired import Difference, mcnemar, paired_difference
    from nbest.scorers.estimators.pass_at_k import all_at_k, g_pass_at_k, pass_at_k
    from nbest.scorers.estimators.weighted_at_k import weighted_choices
    from nbest.scorers.given import StoredScore, UserChoice
    from nbest.scorers.judges.gen_select import GenSelect
    from nbest.scorers.judges.judge import Judge
    from nbest.scorers.judges.likelihood import Likelihood
    from nbest.scorers.judges.reward import RewardModel
    from nbest.scorers.judges.tournament import Tournament
    from nbest.scorers.judges.universal_vote import UniversalVote
    from nbest.scorers.structured.by_field import VoteByField
    from nbest.scorers.structured.extract import JsonValue, YamlValue
    from nbest.scorers.structured.layered import PlainFirst
    from nbest.scorers.structured.reading import Reading, read_json
    from nbest.scorers.structured.yaml_reading import read_yaml
    from nbest.scorers.validators.instructions import FollowsInstructions
    from nbest.scorers.validators.python_tests import PassesTests
    from nbest.scorers.validators.rules import AllOf, JsonValid, Matches, Satisfies
    from nbest.scorers.validators.selectors import AmongValid, FirstValid
    from nbest.scorers.validators.sql import SqlValid
    from nbest.scorers.validators.yaml import YamlValid
    from nbest.scorers.votes.arm_weight import ArmWeight
    from nbest.scorers.votes.bayes_risk import MinimumBayesRisk
    from nbest.scorers.votes.ensemble import Ensemble
    from nbest.scorers.votes.majority import MajorityVote, vote_shares
    from nbest.scorers.votes.ranked import Borda, MajorityOfBests, TopVote
    from nbest.scorers.votes.vote_and_score import BestOfMajority, Pessimistic, RoutedVote
    from nbest.scorers.votes.weighted import WeightedVote

__version__: str

__all__ = [
    "DVTS",
    "UCT",
    "VLLM",
    "Adaptive",
    "AdaptiveBranching",
    "AfterMarker",
    "AllOf",
    "AmongValid",
    "Arm",
    "ArmWeight",
    "AsksModel",
    "Backend",
    "BackendConfig",
    "BatchBudget",
    "BatchStrategy",
    "Beam",
    "BestFirst",
    "BestOfMajority",
    "BestOfN",
    "BetaStop",
    "Borda",
    "Bounded",
    "Boxed",
    "BudgetForcing",
    "Candidates",
    "Cascade",
    "ChainScript",
    "ChoiceEquivalence",
    "ChoiceLetter",
    "CodeBlock",
    "Composed",
    "Confidence",
    "ConfidenceFloor",
    "Constraint",
    "Corrected",
    "DeepConf",
    "Difference",
    "EValueStop",
    "Endpoint",
    "Ensemble",
    "Equivalence",
    "Explains",
    "Extractor",
    "FakeBackend",
    "FinalAnswer",
    "First",
    "FirstValid",
    "FollowsInstructions",
    "GenSelect",
    "Interval",
    "JsonEquivalence",
    "JsonValid",
    "JsonValue",
    "Judge",
    "LastNumber",
    "Leaf",
    "LengthPenalisedLogprob",
    "Likelihood",
    "Longest",
    "LoopClock",
    "MajorityOfBests",
    "MajorityVote",
    "ManualClock",
    "Margin",
    "Matches",
    "MathEquivalence",
    "MeanLogprob",
    "Message",
    "MinimumBayesRisk",
    "ModelCalls",
    "NamedModel",
    "Node",
    "NodeSampler",
    "NumberEquivalence",
    "OpenModel",
    "Outcome",
    "Output",
    "Panel",
    "ParticleFilter",
    "PassesTests",
    "Perplexity",
    "Pessimistic",
    "PlainFirst",
    "Plan",
    "PlanSettings",
    "Pointwise",
    "Query",
    "RaceToValid",
    "Random",
    "Rates",
    "Reading",
    "Rebase",
    "Record",
    "Regex",
    "Reply",
    "Request",
    "ReservationStop",
    "Revise",
    "RewardModel",
    "Rewards",
    "RoutedVote",
    "RunTables",
    "Sample",
    "Sampler",
    "SamplingParams",
    "Satisfies",
    "ScoreRule",
    "Scorer",
    "Scores",
    "Search",
    "SeededAnswers",
    "Selection",
    "SelfCertainty",
    "Shortest",
    "SqlResultEquivalence",
    "SqlValid",
    "Stage",
    "Status",
    "Step",
    "Steps",
    "StopRule",
    "StoredScore",
    "Strategy",
    "StructuredOutput",
    "SumLogprob",
    "Synthesis",
    "Thinking",
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
    "VoteByField",
    "VoteStands",
    "Watch",
    "WeightedConsensus",
    "WeightedVote",
    "WholeText",
    "WithinBudget",
    "YamlValid",
    "YamlValue",
    "all_at_k",
    "ask",
    "best_of_k",
    "canonical_number",
    "clustered_interval",
    "extrapolate",
    "fit_beta_binomial",
    "fit_power_law",
    "g_pass_at_k",
    "load",
    "majority_at_k",
    "mcnemar",
    "mean_logprob",
    "open_model",
    "paired_difference",
    "pass_at_k",
    "read_json",
    "read_yaml",
    "run",
    "self_certainty",
    "sum_logprob",
    "vote_shares",
    "watch",
    "weighted_choices",
    "wilson_interval",
]

_NAMES = {
    "experiments.runs.exchange.run_tables": ("RunTables", "load"),
    "experiments.output.ask": ("ask",),
    "experiments.output.open_model": ("OpenModel", "open_model"),
    "experiments.output.structured_output": (
        "Output",
        "StructuredOutput",
    ),
    "model_backend.fake.chains": ("ChainScript",),
    "model_backend.fake.clocks": (
        "LoopClock",
        "ManualClock",
    ),
    "model_backend.fake.engine": ("FakeBackend",),
    "model_backend.fake.rewards": ("Rewards",),
    "model_backend.fake.script": (
        "Reply",
        "SeededAnswers",
    ),
    "model_backend.openai.settings": ("Endpoint",),
    "model_backend.reward.steps": ("Steps",),
    "model_backend.reward.torch_settings": ("TorchReward",),
    "model_backend.vllm.reward": ("VLLMReward",),
    "model_backend.vllm.settings": ("VLLM",),
    "orchestrator.protocols": (
        "AsksModel",
        "Backend",
        "BackendConfig",
        "BatchStrategy",
        "Bounded",
        "Equivalence",
        "Explains",
        "Extractor",
        "ModelCalls",
        "NamedModel",
        "Pointwise",
        "Rates",
        "Sampler",
        "Scorer",
        "NodeSampler",
        "Strategy",
        "Validator",
    ),
    "orchestrator.query.panel": ("Arm", "Panel"),
    "orchestrator.query.selection": ("WholeText",),
    "orchestrator.run.local": ("run",),
    "orchestrator.strategies.adaptive": ("Adaptive",),
    "orchestrator.strategies.best_of_n": ("BestOfN",),
    "orchestrator.sampling_params": ("ConfidenceFloor", "Constraint", "SamplingParams", "Thinking"),
    "orchestrator.strategies.budget": ("BatchBudget",),
    "orchestrator.strategies.cascade": ("Cascade", "Stage"),
    "orchestrator.strategies.deep_conf": ("DeepConf",),
    "orchestrator.strategies.race": ("RaceToValid",),
    "orchestrator.strategies.search.corrected": ("Corrected",),
    "orchestrator.strategies.search.levels": ("DVTS", "Beam", "Rebase"),
    "orchestrator.strategies.search.particles": ("ParticleFilter",),
    "orchestrator.strategies.search.plan": ("Leaf", "Node", "Plan", "PlanSettings"),
    "orchestrator.strategies.search.branching": ("AdaptiveBranching",),
    "orchestrator.strategies.search.budget_forcing": ("BudgetForcing",),
    "orchestrator.strategies.search.revise": ("Revise",),
    "orchestrator.strategies.search.search": ("Search",),
    "orchestrator.strategies.search.synthesis": ("Synthesis",),
    "orchestrator.strategies.search.steps": ("Step",),
    "orchestrator.strategies.search.best_first": ("UCT", "BestFirst"),
    "orchestrator.strategies.stop_on_scores": (
        "ReservationStop",
        "ScoreRule",
        "WeightedConsensus",
    ),
    "orchestrator.strategies.stop_on_votes": (
        "BetaStop",
        "EValueStop",
        "Margin",
        "StopRule",
        "UnanimousWindow",
        "VoteStands",
    ),
    "orchestrator.strategies.within_budget": ("WithinBudget",),
    "orchestrator.types": (
        "Candidates",
        "Composed",
        "Message",
        "Outcome",
        "Query",
        "Record",
        "Request",
        "Sample",
        "Scores",
        "Selection",
        "Status",
        "TopLogprobs",
        "Usage",
    ),
    "scorers.answers.choice_letter": ("ChoiceLetter",),
    "scorers.answers.code_block": ("CodeBlock",),
    "scorers.answers.extract": (
        "AfterMarker",
        "Boxed",
        "FinalAnswer",
        "LastNumber",
        "Regex",
    ),
    "scorers.answers.number": ("canonical_number",),
    "scorers.baselines": (
        "First",
        "Longest",
        "Random",
        "Shortest",
    ),
    "scorers.confidence.logprob": (
        "LengthPenalisedLogprob",
        "MeanLogprob",
        "Perplexity",
        "SumLogprob",
        "mean_logprob",
        "sum_logprob",
    ),
    "scorers.confidence.self_certainty": (
        "SelfCertainty",
        "self_certainty",
    ),
    "scorers.confidence.trace": ("Confidence",),
    "scorers.equivalence.mathematics": ("MathEquivalence",),
    "scorers.equivalence.plain": (
        "ChoiceEquivalence",
        "JsonEquivalence",
        "NumberEquivalence",
    ),
    "scorers.equivalence.sql_result": ("SqlResultEquivalence",),
    "scorers.estimators.best_of_k": ("best_of_k",),
    "scorers.estimators.coverage": (
        "extrapolate",
        "fit_beta_binomial",
        "fit_power_law",
    ),
    "scorers.estimators.intervals": (
        "Interval",
        "clustered_interval",
        "wilson_interval",
    ),
    "scorers.estimators.majority_at_k": ("majority_at_k",),
    "scorers.estimators.over_optimisation": (
        "Watch",
        "watch",
    ),
    "scorers.estimators.paired": (
        "Difference",
        "mcnemar",
        "paired_difference",
    ),
    "scorers.estimators.pass_at_k": (
        "all_at_k",
        "g_pass_at_k",
        "pass_at_k",
    ),
    "scorers.estimators.weighted_at_k": ("weighted_choices",),
    "scorers.given": (
        "StoredScore",
        "UserChoice",
    ),
    "scorers.judges.gen_select": ("GenSelect",),
    "scorers.judges.judge": ("Judge",),
    "scorers.judges.likelihood": ("Likelihood",),
    "scorers.judges.reward": ("RewardModel",),
    "scorers.judges.tournament": ("Tournament",),
    "scorers.judges.universal_vote": ("UniversalVote",),
    "scorers.structured.by_field": ("VoteByField",),
    "scorers.structured.extract": (
        "JsonValue",
        "YamlValue",
    ),
    "scorers.structured.layered": ("PlainFirst",),
    "scorers.structured.reading": (
        "Reading",
        "read_json",
    ),
    "scorers.structured.yaml_reading": ("read_yaml",),
    "scorers.validators.instructions": ("FollowsInstructions",),
    "scorers.validators.python_tests": ("PassesTests",),
    "scorers.validators.rules": (
        "AllOf",
        "JsonValid",
        "Matches",
        "Satisfies",
    ),
    "scorers.validators.selectors": (
        "AmongValid",
        "FirstValid",
    ),
    "scorers.validators.sql": ("SqlValid",),
    "scorers.validators.yaml": ("YamlValid",),
    "scorers.votes.arm_weight": ("ArmWeight",),
    "scorers.votes.bayes_risk": ("MinimumBayesRisk",),
    "scorers.votes.ensemble": ("Ensemble",),
    "scorers.votes.majority": (
        "MajorityVote",
        "vote_shares",
    ),
    "scorers.votes.ranked": (
        "Borda",
        "MajorityOfBests",
        "TopVote",
    ),
    "scorers.votes.vote_and_score": (
        "BestOfMajority",
        "Pessimistic",
        "RoutedVote",
    ),
    "scorers.votes.weighted": ("WeightedVote",),
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
