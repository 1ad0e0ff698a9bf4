"""The one table of names: what a config or a command line calls a class, and where that class is.

Built-in names stand here; anybody else's come by entry points, in the group that each kind names:

    [project.entry-points."nbest.scorers"]
    my_reward = "my_package.reward:MyReward"

Classes are given as text and imported when they are asked for, so that neither `--help` nor a check
of a config pays for an engine. A built-in name always means the built-in class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin

from experiments.construction import Factory, construct, type_hints
from experiments.expressions import Expression, parse_expression
from experiments.graders import Grader
from experiments.nearest import one_line, shown, suggestion
from orchestrator.errors import InputError
from orchestrator.protocols import BackendConfig, Equivalence, Extractor, Scorer, Validator
from orchestrator.stop_rules import StopRule

if TYPE_CHECKING:
    from experiments.replay_command import Replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginKind:
    """One kind of thing that has names."""

    noun: str  # in messages
    group: str  # of entry points
    methods: tuple[str, ...]  # what the object must have
    built_in: Mapping[str, str]  # name to `module:Class`
    plain: str = ""  # the name that a text stands for that is none itself, as its first argument

    def names(self) -> tuple[str, ...]:
        """Every name that `build` knows, sorted."""
        return tuple(sorted({*self.built_in, *(e.name for e in entry_points(group=self.group))}))

    def factory(self, name: str) -> Factory:
        """The class of that name, imported now."""
        if (path := self.built_in.get(name)) is not None:
            module, _, attribute = path.partition(":")
            return cast("Factory", getattr(import_module(module), attribute))
        found = tuple(entry_points(group=self.group, name=name))
        if not found:
            raise InputError(f"no {self.noun} named {name!r}{suggestion(name, self.names())}")
        if len({e.value for e in found}) > 1:
            where = ", ".join(sorted(e.value for e in found))
            raise InputError(f"{self.noun} {name!r} must come from one package, got {where}")
        return _loaded(found[0], self.noun)

    def build(self, name: str, arguments: Mapping[str, object]) -> object:
        """The object of that name with those settings."""
        return self._made(self.factory(name), arguments)

    def parse(self, text: str) -> object:
        """The object that `name(key=value)` stands for; errors about a key begin with the name."""
        if self.plain and "(" not in text and text not in self.names():
            return self.build(self.plain, {"model": text})
        return self.of_expression(parse_expression(text))

    def of_expression(self, expression: Expression) -> object:
        """The same for what has been parsed."""
        factory = self.factory(expression.name)
        try:
            return self._made(factory, expression.arguments)
        except InputError as error:
            name = expression.name
            about_itself = str(error).startswith(f"{name} must ")
            raise InputError(str(error) if about_itself else f"{name}: {error}") from error

    def _made(self, factory: Factory, arguments: Mapping[str, object]) -> object:
        hints = type_hints(factory)
        resolved = {key: _resolved(key, v, hints.get(key)) for key, v in arguments.items()}
        made = construct(factory, resolved)
        for method in self.methods:
            if not hasattr(made, method):
                raise InputError(f"a {self.noun} must have {method}, got {type(made).__name__}")
        return made


def _resolved(key: str, value: object, hint: Any) -> object:
    """What an argument stands for where its type is one that has names: `by=mean_logprob`."""
    kind = _kind_of(hint)
    if kind is None:
        if isinstance(value, Expression):
            raise InputError(f"{key} must be a plain value, got {shown(value.text)}")
        return value
    if value is None and type(None) in get_args(hint):
        return None
    if get_origin(hint) is tuple and isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_named(key, each, kind) for each in value)
    return _named(key, value, kind)


def _named(key: str, value: object, kind: PluginKind) -> object:
    if not isinstance(value, Expression | str):
        raise InputError(f"{key} must name a {kind.noun}, got {shown(value)}")
    try:
        return kind.parse(value) if isinstance(value, str) else kind.of_expression(value)
    except InputError as error:
        raise InputError(f"{key}: {error}") from error


def _kind_of(hint: Any) -> PluginKind | None:
    """The kind whose protocol the type is, or is a tuple or a union of."""
    kinds: Mapping[Any, PluginKind] = {
        Scorer: SELECTORS,
        Validator: VALIDATORS,
        Equivalence: EQUIVALENCES,
        Extractor: EXTRACTORS,
        BackendConfig: REWARD_MODELS,
        StopRule: STOP_RULES,
    }
    return next((kinds[part] for part in (hint, *get_args(hint)) if part in kinds), None)


def _loaded(entry: EntryPoint, noun: str) -> Factory:
    try:
        factory = entry.load()
    except Exception as error:  # importing a plugin runs somebody else's code
        what = f"{type(error).__name__}: {one_line(error)}"
        raise InputError(
            f"{noun} {entry.name!r} ({entry.value}) cannot be loaded: {what}"
        ) from error
    if not callable(factory):
        raise InputError(f"{noun} {entry.name!r} must be a class, got {type(factory).__name__}")
    return cast("Factory", factory)


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
    methods=("__call__",),
    built_in={
        "vote_stands": "orchestrator.stop_rules:VoteStands",
        "beta": "orchestrator.stop_rules:BetaStop",
        "e_value": "orchestrator.stop_rules:EValueStop",
        "unanimous_window": "orchestrator.stop_rules:UnanimousWindow",
    },
)

STRATEGIES = PluginKind(
    noun="strategy",
    group="nbest.replayed_strategies",
    methods=("stops_after",),
    built_in={"adaptive": "experiments.replay_command:Replayed"},
)


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


def build_strategy(text: str) -> Replayed:
    """`adaptive`, `adaptive(rule=beta(confidence=0.9))`."""
    return cast("Replayed", STRATEGIES.parse(text))


def build_backend(name: str, settings: Mapping[str, object]) -> BackendConfig:
    """The settings of an engine; nothing is started."""
    return cast("BackendConfig", BACKENDS.build(name, settings))
