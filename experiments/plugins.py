"""The one table of names: what a config or a command line calls a class, and where that class is.

Built-in names stand here; anybody else's come by entry points, in the group that each kind names:

    [project.entry-points."nbest.scorers"]
    my_reward = "my_package.reward:MyReward"

Classes are given as text and imported when they are asked for, so that neither `--help` nor a check
of a config pays for an engine. A built-in name always means the built-in class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from nbest.experiments.graders import Grader
from nbest.experiments.plugin_kind import PluginKind
from nbest.orchestrator.protocols import BackendConfig, Equivalence, Extractor, Scorer, Validator
from nbest.orchestrator.score_rules import ScoreRule
from nbest.orchestrator.stop_rules import StopRule

if TYPE_CHECKING:
    from nbest.experiments.replay_command import ReplayedStrategy


SELECTORS = PluginKind(
    noun="selector",
    group="nbest.scorers",
    methods=("__call__", "needs_logprobs"),
    built_in={
        "first": "nbest.scorers.position:First",
        "random": "nbest.scorers.position:Random",
        "vote": "nbest.scorers.vote:MajorityVote",
        "mean_logprob": "nbest.scorers.logprob:MeanLogprob",
        "sum_logprob": "nbest.scorers.logprob:SumLogprob",
        "shortest": "nbest.scorers.length:Shortest",
        "longest": "nbest.scorers.length:Longest",
        "first_valid": "nbest.scorers.valid:FirstValid",
        "among_valid": "nbest.scorers.among:AmongValid",
        "weighted_vote": "nbest.scorers.weighted_vote:WeightedVote",
        "borda": "nbest.scorers.borda:Borda",
        "majority_of_bests": "nbest.scorers.majority_of_bests:MajorityOfBests",
        "routed_vote": "nbest.scorers.routed_vote:RoutedVote",
        "mbr": "nbest.scorers.risk:MinimumBayesRisk",
        "judge": "nbest.scorers.judge:Judge",
        "tournament": "nbest.scorers.tournament:Tournament",
        "universal_vote": "nbest.scorers.universal_vote:UniversalVote",
        "user": "nbest.scorers.person:UserChoice",
        "length_penalised_logprob": "nbest.scorers.logprob:LengthPenalisedLogprob",
        "perplexity": "nbest.scorers.logprob:Perplexity",
        "self_certainty": "nbest.scorers.self_certainty:SelfCertainty",
        "confidence": "nbest.scorers.confidence:Confidence",
        "reward": "nbest.scorers.reward:RewardModel",
        "score": "nbest.scorers.stored_score:StoredScore",
        "top_vote": "nbest.scorers.top_vote:TopVote",
        "best_of_majority": "nbest.scorers.best_of_majority:BestOfMajority",
        "pessimistic": "nbest.scorers.pessimistic:Pessimistic",
    },
)

EXTRACTORS = PluginKind(
    noun="extractor",
    group="nbest.extractors",
    methods=("__call__",),
    built_in={
        "whole_text": "nbest.orchestrator.selection:WholeText",
        "last_number": "nbest.scorers.extract:LastNumber",
        "after_marker": "nbest.scorers.extract:AfterMarker",
        "boxed": "nbest.scorers.extract:Boxed",
        "regex": "nbest.scorers.extract:Regex",
        "code_block": "nbest.scorers.code_block:CodeBlock",
        "choice_letter": "nbest.scorers.choice:ChoiceLetter",
        "final_answer": "nbest.scorers.extract:FinalAnswer",
    },
)

VALIDATORS = PluginKind(
    noun="validator",
    group="nbest.validators",
    methods=("__call__",),
    built_in={
        "regex": "nbest.scorers.validators:Matches",
        "json": "nbest.scorers.validators:JsonValid",
        "yaml": "nbest.scorers.yaml_valid:YamlValid",
        "sql": "nbest.scorers.sql_valid:SqlValid",
        "python_tests": "nbest.scorers.python_tests:PassesTests",
        "all_of": "nbest.scorers.validators:AllOf",
    },
)

EQUIVALENCES = PluginKind(
    noun="equivalence",
    group="nbest.equivalences",
    methods=("__call__",),
    built_in={
        "number": "nbest.scorers.equivalence:NumberEquivalence",
        "choice": "nbest.scorers.equivalence:ChoiceEquivalence",
        "json": "nbest.scorers.equivalence:JsonEquivalence",
        "mathematics": "nbest.scorers.equivalence_math:MathEquivalence",
        "sql_result": "nbest.scorers.equivalence_sql:SqlResultEquivalence",
    },
)

GRADERS = PluginKind(
    noun="grader",
    group="nbest.graders",
    methods=("__call__",),
    built_in={
        "exact": "nbest.experiments.graders:Exact",
        "number": "nbest.experiments.graders:Number",
        "mathematics": "nbest.experiments.grader_math:Mathematics",
        "reasoning_gym": "nbest.experiments.grader_tasks:ReasoningGym",
        "none": "nbest.experiments.graders:Ungraded",
    },
)

BACKENDS = PluginKind(
    noun="backend",
    group="nbest.backends",
    methods=("open", "max_concurrency", "gpus", "identity"),
    built_in={
        "vllm": "nbest.model_backend.vllm:VLLM",
        "fake": "nbest.experiments.fake_model:seeded_fake",
        "faulty_fake": "nbest.experiments.fake_model:faulty_fake",
    },
)


REWARD_MODELS = PluginKind(
    noun="reward model",
    group="nbest.reward_models",
    methods=("open", "max_concurrency", "gpus", "identity"),
    built_in={
        "vllm": "nbest.model_backend.vllm_reward:VLLMReward",
        "torch": "nbest.model_backend.torch_reward:TorchReward",
        "fake": "nbest.model_backend.fake_rewards:fake_rewards",
    },
    plain="vllm",
)


STOP_RULES = PluginKind(
    noun="stop rule",
    group="nbest.stop_rules",
    methods=(),  # of two kinds: a function of answers, or one that `stops_on` scores
    built_in={
        "vote_stands": "nbest.orchestrator.stop_rules:VoteStands",
        "beta": "nbest.orchestrator.stop_rules:BetaStop",
        "e_value": "nbest.orchestrator.stop_rules:EValueStop",
        "unanimous_window": "nbest.orchestrator.stop_rules:UnanimousWindow",
        "reservation": "nbest.orchestrator.score_rules:ReservationStop",
        "weighted_consensus": "nbest.orchestrator.score_rules:WeightedConsensus",
    },
)

STRATEGIES = PluginKind(
    noun="strategy",
    group="nbest.replayed_strategies",
    methods=("select", "outcomes"),
    built_in={
        "adaptive": "nbest.experiments.replay_command:Replayed",
        "budget": "nbest.experiments.replay_budget:ReplayedBudget",
        "deep_conf": "nbest.experiments.replay_deep_conf:ReplayedDeepConf",
        "race": "nbest.experiments.replay_race:ReplayedRace",
    },
)


KIND_OF_TYPE: Mapping[Any, PluginKind] = {
    Scorer: SELECTORS,
    Validator: VALIDATORS,
    Equivalence: EQUIVALENCES,
    Extractor: EXTRACTORS,
    BackendConfig: REWARD_MODELS,
    StopRule: STOP_RULES,
    ScoreRule: STOP_RULES,
}


def build_scorer(text: str) -> Scorer:
    """The scorer of a selector: `vote`, `random(seed=3)`."""
    return cast("Scorer", SELECTORS.parse(text))


def build_extractor(text: str) -> Extractor:
    """`last_number`, `after_marker(marker="####")`."""
    return cast("Extractor", EXTRACTORS.parse(text))


def build_equivalence(text: str) -> Equivalence | None:
    """`number`, `mathematics(timeout_s=5)`; None for `exact`: answers that are the same text."""
    return None if text == "exact" else cast("Equivalence", EQUIVALENCES.parse(text))


def build_grader(text: str) -> Grader:
    """`exact`, `number(tolerance=0.01)`."""
    return cast("Grader", GRADERS.parse(text))


def build_validator(text: str) -> Validator:
    """`json`, `all_of(rules=[json, yaml])`."""
    return cast("Validator", VALIDATORS.parse(text))


def build_stop_rule(text: str) -> StopRule | ScoreRule:
    """`vote_stands`, `beta(confidence=0.9)`, `reservation(cost=0.01)`."""
    return cast("StopRule | ScoreRule", STOP_RULES.parse(text))


def build_strategy(text: str) -> ReplayedStrategy:
    """`adaptive`, `adaptive(rule=beta(confidence=0.9))`."""
    return cast("ReplayedStrategy", STRATEGIES.parse(text))


def build_backend(name: str, settings: Mapping[str, object]) -> BackendConfig:
    """The settings of an engine; nothing is started."""
    return cast("BackendConfig", BACKENDS.build(name, settings))
