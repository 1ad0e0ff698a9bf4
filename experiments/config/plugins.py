"""The one table of names: what a config or a command line calls a class, and where that class is.

Built-in names stand here; all others come from entry points, in the group of each kind:

    [project.entry-points."nbest.scorers"]
    my_reward = "my_package.reward:MyReward"

or from a file, as `mine.py:MyReward`.

The table holds classes as text and `factory` imports them, so that neither `--help` nor the check
of a config imports an engine. A built-in name always means the built-in class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from nbest.experiments.config.model_names import ModelNames
from nbest.experiments.language.code_files import is_code_file
from nbest.experiments.language.expressions import parse_expression
from nbest.experiments.language.plugin_kind import PluginKind
from nbest.experiments.language.text import suggestion
from nbest.experiments.questions.graders.by_part import QueryGrader, SameMeaning, Valid
from nbest.experiments.questions.graders.plain import Grader
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import (
    BackendConfig,
    Equivalence,
    Extractor,
    NamedModel,
    Scorer,
    Validator,
)
from nbest.orchestrator.strategies.stop_on_scores import ScoreRule
from nbest.orchestrator.strategies.stop_on_votes import StopRule


def named_kinds() -> tuple[PluginKind, ...]:
    """The kinds that a setting may name: `weighted_vote(by=mean_logprob)`."""
    return SELECTORS, VALIDATORS, EQUIVALENCES, EXTRACTORS, REWARD_MODELS, STOP_RULES, MODEL_NAMES


SELECTORS = PluginKind(
    noun="selector",
    group="nbest.scorers",
    protocols=(Scorer,),
    parts=named_kinds,
    methods=("__call__", "needs_logprobs"),
    built_in={
        "first": "nbest.scorers.baselines:First",
        "random": "nbest.scorers.baselines:Random",
        "vote": "nbest.scorers.votes.majority:MajorityVote",
        "mean_logprob": "nbest.scorers.confidence.logprob:MeanLogprob",
        "sum_logprob": "nbest.scorers.confidence.logprob:SumLogprob",
        "shortest": "nbest.scorers.baselines:Shortest",
        "longest": "nbest.scorers.baselines:Longest",
        "first_valid": "nbest.scorers.validators.selectors:FirstValid",
        "among_valid": "nbest.scorers.validators.selectors:AmongValid",
        "weighted_vote": "nbest.scorers.votes.weighted:WeightedVote",
        "ensemble": "nbest.scorers.votes.ensemble:Ensemble",
        "arm_weight": "nbest.scorers.votes.arm_weight:ArmWeight",
        "borda": "nbest.scorers.votes.ranked:Borda",
        "majority_of_bests": "nbest.scorers.votes.ranked:MajorityOfBests",
        "routed_vote": "nbest.scorers.votes.vote_and_score:RoutedVote",
        "mbr": "nbest.scorers.votes.bayes_risk:MinimumBayesRisk",
        "judge": "nbest.scorers.judges.judge:Judge",
        "plain_first": "nbest.scorers.structured.layered:PlainFirst",
        "gen_select": "nbest.scorers.judges.gen_select:GenSelect",
        "tournament": "nbest.scorers.judges.tournament:Tournament",
        "universal_vote": "nbest.scorers.judges.universal_vote:UniversalVote",
        "user": "nbest.scorers.given:UserChoice",
        "length_penalised_logprob": "nbest.scorers.confidence.logprob:LengthPenalisedLogprob",
        "perplexity": "nbest.scorers.confidence.logprob:Perplexity",
        "self_certainty": "nbest.scorers.confidence.self_certainty:SelfCertainty",
        "confidence": "nbest.scorers.confidence.trace:Confidence",
        "reward": "nbest.scorers.judges.reward:RewardModel",
        "likelihood": "nbest.scorers.judges.likelihood:Likelihood",
        "score": "nbest.scorers.given:StoredScore",
        "top_vote": "nbest.scorers.votes.ranked:TopVote",
        "best_of_majority": "nbest.scorers.votes.vote_and_score:BestOfMajority",
        "pessimistic": "nbest.scorers.votes.vote_and_score:Pessimistic",
    },
)

EXTRACTORS = PluginKind(
    noun="extractor",
    group="nbest.extractors",
    protocols=(Extractor,),
    parts=named_kinds,
    methods=("__call__",),
    built_in={
        "whole_text": "nbest.orchestrator.query.selection:WholeText",
        "last_number": "nbest.scorers.answers.extract:LastNumber",
        "after_marker": "nbest.scorers.answers.extract:AfterMarker",
        "boxed": "nbest.scorers.answers.extract:Boxed",
        "regex": "nbest.scorers.answers.extract:Regex",
        "code_block": "nbest.scorers.answers.code_block:CodeBlock",
        "choice_letter": "nbest.scorers.answers.choice_letter:ChoiceLetter",
        "final_answer": "nbest.scorers.answers.extract:FinalAnswer",
        "json": "nbest.scorers.structured.extract:JsonValue",
        "yaml": "nbest.scorers.structured.extract:YamlValue",
    },
)

VALIDATORS = PluginKind(
    noun="validator",
    group="nbest.validators",
    protocols=(Validator,),
    parts=named_kinds,
    methods=("__call__",),
    built_in={
        "regex": "nbest.scorers.validators.rules:Matches",
        "json": "nbest.scorers.validators.rules:JsonValid",
        "yaml": "nbest.scorers.validators.yaml:YamlValid",
        "sql": "nbest.scorers.validators.sql:SqlValid",
        "python_tests": "nbest.scorers.validators.python_tests:PassesTests",
        "instructions": "nbest.scorers.validators.instructions:FollowsInstructions",
        "all_of": "nbest.scorers.validators.rules:AllOf",
    },
)

EQUIVALENCES = PluginKind(
    noun="equivalence",
    group="nbest.equivalences",
    protocols=(Equivalence,),
    parts=named_kinds,
    methods=("__call__",),
    built_in={
        "number": "nbest.scorers.equivalence.plain:NumberEquivalence",
        "choice": "nbest.scorers.equivalence.plain:ChoiceEquivalence",
        "json": "nbest.scorers.equivalence.plain:JsonEquivalence",
        "mathematics": "nbest.scorers.equivalence.mathematics:MathEquivalence",
        "sql_result": "nbest.scorers.equivalence.sql_result:SqlResultEquivalence",
    },
)

GRADERS = PluginKind(
    noun="grader",
    group="nbest.graders",
    parts=named_kinds,
    methods=("__call__",),
    built_in={
        "exact": "nbest.experiments.questions.graders.plain:Exact",
        "number": "nbest.experiments.questions.graders.plain:Number",
        "mathematics": "nbest.experiments.questions.graders.mathematics:Mathematics",
        "fields": "nbest.experiments.questions.graders.plain:Fields",
        "reasoning_gym": "nbest.experiments.questions.graders.tasks:ReasoningGym",
        "none": "nbest.experiments.questions.graders.plain:Ungraded",
    },
)

# They grade all the different answers to a question together.
QUERY_GRADERS = PluginKind(
    noun="grader",
    group="nbest.query_graders",
    methods=("grade_each", "can_grade", "needs_gold"),
    built_in={
        "model_verdicts": "nbest.experiments.questions.graders.model_verdicts:ModelVerdicts",
    },
)

BACKENDS = PluginKind(
    noun="backend",
    group="nbest.backends",
    parts=named_kinds,
    methods=("open", "max_concurrency", "gpus", "identity"),
    built_in={
        "vllm": "nbest.model_backend.vllm.settings:VLLM",
        "openai": "nbest.model_backend.openai.settings:Endpoint",
        "fake": "nbest.model_backend.fake.factories:seeded_fake",
        "chains_fake": "nbest.model_backend.fake.factories:chains_fake",
        "faulty_fake": "nbest.model_backend.fake.factories:faulty_fake",
    },
)


REWARD_MODELS = PluginKind(
    noun="reward model",
    group="nbest.reward_models",
    protocols=(BackendConfig,),
    parts=named_kinds,
    methods=("open", "max_concurrency", "gpus", "identity"),
    built_in={
        "vllm": "nbest.model_backend.vllm.reward:VLLMReward",
        "torch": "nbest.model_backend.reward.torch_settings:TorchReward",
        "fake": "nbest.model_backend.fake.rewards:fake_rewards",
    },
    plain="vllm",
)


STOP_RULES = PluginKind(
    noun="stop rule",
    group="nbest.stop_rules",
    protocols=(
        StopRule,
        ScoreRule,
    ),
    parts=named_kinds,
    methods=(),  # a rule is a function of answers, or has `stops_on` for scores
    built_in={
        "margin": "nbest.orchestrator.strategies.stop_on_votes:Margin",
        "vote_stands": "nbest.orchestrator.strategies.stop_on_votes:VoteStands",
        "beta": "nbest.orchestrator.strategies.stop_on_votes:BetaStop",
        "e_value": "nbest.orchestrator.strategies.stop_on_votes:EValueStop",
        "unanimous_window": "nbest.orchestrator.strategies.stop_on_votes:UnanimousWindow",
        "reservation": "nbest.orchestrator.strategies.stop_on_scores:ReservationStop",
        "weighted_consensus": "nbest.orchestrator.strategies.stop_on_scores:WeightedConsensus",
    },
)


MODEL_NAMES = ModelNames(noun="model", group="", methods=(), built_in={}, protocols=(NamedModel,))


# All of them build from a text; code in files, and texts of files, are for trusted ones alone: see
# `parse_expressions`.


def build_scorer(text: str, *, trusted: bool = False) -> Scorer:
    """Build the scorer of a selector: `vote`, `random(seed=3)`."""
    return cast("Scorer", SELECTORS.parse(text, trusted=trusted))


def build_extractor(text: str, *, trusted: bool = False) -> Extractor:
    """Build an extractor: `last_number`, `after_marker(marker="####")`."""
    return cast("Extractor", EXTRACTORS.parse(text, trusted=trusted))


def build_equivalence(text: str, *, trusted: bool = False) -> Equivalence | None:
    """Build an equivalence: `number`, `mathematics(timeout_s=5)`; None for `exact`."""
    return (
        None if text == "exact" else cast("Equivalence", EQUIVALENCES.parse(text, trusted=trusted))
    )


def build_grader(text: str, *, trusted: bool = False) -> Grader | QueryGrader:
    """Build a grader: `exact`, `number(tolerance=0.01)`.

    Every equivalence and every validator is one, too: `json`, `python_tests`. Of two with one name
    the equivalence goes first, unless there are settings: `json(schema="...")` is the validator.
    """
    expression = parse_expression(text, trusted=trusted)
    name = expression.name
    if is_code_file(name):
        is_of_queries = hasattr(QUERY_GRADERS.factory(name, trusted=trusted), "grade_each")
        kind = QUERY_GRADERS if is_of_queries else GRADERS
        return cast("Grader | QueryGrader", kind.parse(text, trusted=trusted))
    if name in GRADERS.names():
        return cast("Grader", GRADERS.parse(text, trusted=trusted))
    if name in QUERY_GRADERS.names():
        return cast("QueryGrader", QUERY_GRADERS.parse(text, trusted=trusted))
    is_rule = name in VALIDATORS.names()
    has_settings = bool(expression.arguments or expression.positional)
    if name in EQUIVALENCES.names() and not (is_rule and has_settings):
        return SameMeaning(
            equivalence=cast("Equivalence", EQUIVALENCES.parse(text, trusted=trusted))
        )
    if is_rule:
        return Valid(rule=cast("Validator", VALIDATORS.parse(text, trusted=trusted)))
    kinds = (GRADERS, QUERY_GRADERS, EQUIVALENCES, VALIDATORS)
    known = {known for kind in kinds for known in kind.names()}
    raise InputError(f"no grader named {name!r}{suggestion(name, known)}")


def build_validator(text: str, *, trusted: bool = False) -> Validator:
    """Build a validator: `json`, `all_of(rules=[json, yaml])`."""
    return cast("Validator", VALIDATORS.parse(text, trusted=trusted))


def build_stop_rule(text: str, *, trusted: bool = False) -> StopRule | ScoreRule:
    """Build a stop rule: `vote_stands`, `beta(confidence=0.9)`, `reservation(cost=0.01)`."""
    return cast("StopRule | ScoreRule", STOP_RULES.parse(text, trusted=trusted))


def build_backend(
    name: str, settings: Mapping[str, object], *, trusted: bool = False
) -> BackendConfig:
    """Build the settings of an engine; nothing is started."""
    return cast("BackendConfig", BACKENDS.build(name, settings, trusted=trusted))
