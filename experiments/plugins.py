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

from experiments.graders import Grader
from experiments.plugin_kind import PluginKind
from orchestrator.protocols import BackendConfig, Equivalence, Extractor, Scorer, Validator
from orchestrator.score_rules import ScoreRule
from orchestrator.stop_rules import StopRule

if TYPE_CHECKING:
    from experiments.replay_command import ReplayedStrategy


SELECTORS = PluginKind(
    noun="selector",
    group="nbest.scorers",
    methods=("__call__", "needs_logprobs"),
    built_in={
        "first": "scorers:First",
        "random": "scorers:Random",
        "vote": "scorers:MajorityVote",
        "mean_logprob": "scorers:MeanLogprob",
        "sum_logprob": "scorers:SumLogprob",
        "shortest": "scorers:Shortest",
        "longest": "scorers:Longest",
        "first_valid": "scorers:FirstValid",
        "among_valid": "scorers:AmongValid",
        "weighted_vote": "scorers:WeightedVote",
        "borda": "scorers:Borda",
        "majority_of_bests": "scorers:MajorityOfBests",
        "routed_vote": "scorers:RoutedVote",
        "mbr": "scorers:MinimumBayesRisk",
        "judge": "scorers:Judge",
        "tournament": "scorers:Tournament",
        "universal_vote": "scorers:UniversalVote",
        "user": "scorers:UserChoice",
        "length_penalised_logprob": "scorers:LengthPenalisedLogprob",
        "perplexity": "scorers:Perplexity",
        "self_certainty": "scorers:SelfCertainty",
        "confidence": "scorers:Confidence",
        "reward": "scorers:RewardModel",
        "score": "scorers:StoredScore",
        "top_vote": "scorers:TopVote",
        "best_of_majority": "scorers:BestOfMajority",
        "pessimistic": "scorers:Pessimistic",
    },
)

EXTRACTORS = PluginKind(
    noun="extractor",
    group="nbest.extractors",
    methods=("__call__",),
    built_in={
        "whole_text": "orchestrator.selection:WholeText",
        "last_number": "scorers.extract:LastNumber",
        "after_marker": "scorers.extract:AfterMarker",
        "boxed": "scorers.extract:Boxed",
        "regex": "scorers.extract:Regex",
        "code_block": "scorers.code_block:CodeBlock",
        "choice_letter": "scorers.choice:ChoiceLetter",
        "final_answer": "scorers.extract:FinalAnswer",
    },
)

VALIDATORS = PluginKind(
    noun="validator",
    group="nbest.validators",
    methods=("__call__",),
    built_in={
        "regex": "scorers.validators:Matches",
        "json": "scorers.validators:JsonValid",
        "yaml": "scorers.yaml_valid:YamlValid",
        "sql": "scorers.sql_valid:SqlValid",
        "python_tests": "scorers.python_tests:PassesTests",
        "all_of": "scorers.validators:AllOf",
    },
)

EQUIVALENCES = PluginKind(
    noun="equivalence",
    group="nbest.equivalences",
    methods=("__call__",),
    built_in={
        "number": "scorers.equivalence:NumberEquivalence",
        "choice": "scorers.equivalence:ChoiceEquivalence",
        "json": "scorers.equivalence:JsonEquivalence",
        "mathematics": "scorers.equivalence_math:MathEquivalence",
        "sql_result": "scorers.equivalence_sql:SqlResultEquivalence",
    },
)

GRADERS = PluginKind(
    noun="grader",
    group="nbest.graders",
    methods=("__call__",),
    built_in={
        "exact": "experiments.graders:Exact",
        "number": "experiments.graders:Number",
        "mathematics": "experiments.grader_math:Mathematics",
        "reasoning_gym": "experiments.grader_tasks:ReasoningGym",
        "none": "experiments.graders:Ungraded",
    },
)

BACKENDS = PluginKind(
    noun="backend",
    group="nbest.backends",
    methods=("open", "max_concurrency", "gpus", "identity"),
    built_in={
        "vllm": "model_backend.vllm:VLLM",
        "fake": "experiments.fake_model:seeded_fake",
        "faulty_fake": "experiments.fake_model:faulty_fake",
    },
)


REWARD_MODELS = PluginKind(
    noun="reward model",
    group="nbest.reward_models",
    methods=("open", "max_concurrency", "gpus", "identity"),
    built_in={
        "vllm": "model_backend.vllm_reward:VLLMReward",
        "torch": "model_backend.torch_reward:TorchReward",
        "fake": "model_backend.fake_rewards:fake_rewards",
    },
    plain="vllm",
)


STOP_RULES = PluginKind(
    noun="stop rule",
    group="nbest.stop_rules",
    methods=(),  # of two kinds: a function of answers, or one that `stops_on` scores
    built_in={
        "vote_stands": "orchestrator.stop_rules:VoteStands",
        "beta": "orchestrator.stop_rules:BetaStop",
        "e_value": "orchestrator.stop_rules:EValueStop",
        "unanimous_window": "orchestrator.stop_rules:UnanimousWindow",
        "reservation": "orchestrator.score_rules:ReservationStop",
        "weighted_consensus": "orchestrator.score_rules:WeightedConsensus",
    },
)

STRATEGIES = PluginKind(
    noun="strategy",
    group="nbest.replayed_strategies",
    methods=("select", "outcomes"),
    built_in={
        "adaptive": "experiments.replay_command:Replayed",
        "budget": "experiments.replay_budget:ReplayedBudget",
        "deep_conf": "experiments.replay_deep_conf:ReplayedDeepConf",
        "race": "experiments.replay_race:ReplayedRace",
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
