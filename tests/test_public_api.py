"""The public names and their signatures, as a table: to change one is a decision, no accident.

A line of the table is what a user may write. Whoever changes one changes it here too, and says so
in the changelog.
"""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import model_backend
import orchestrator
import scorers
from orchestrator import errors

ROOT = Path(__file__).parents[1]
PACKAGES = (orchestrator, scorers, model_backend)
PLAIN = (str, int, float, tuple, type(None))

SURFACE = """
orchestrator.Adaptive(*, max_n: int, select: Scorer, rule: StopRule | ScoreRule = ..., min_n:
    int = 2, ahead: int = 4, extract: Extractor = ..., equivalence: Equivalence | None = None,
    min_confidence: float = 0.0, params: SamplingParams = ...)
orchestrator.Backend { async generate(request: Request) -> Sample; async abort(request_id: str)
    -> None }
orchestrator.BackendConfig { max_concurrency: int; gpus: int; identity: Mapping[str, str | int |
    None]; open(name: str = '') -> AbstractAsyncContextManager[Backend] }
orchestrator.BatchBudget(*, average: float | None = None, tokens: int | None = None, max_n: int
    = 64, first_n: int = 3, round_size: int = 64)
orchestrator.BatchStrategy { async draw(queries: Sequence[Query], samplers: Sequence[Sampler])
    -> Sequence[Strategy] }
orchestrator.BestOfN(*, n: int, select: Scorer, extract: Extractor = ..., equivalence:
    Equivalence | None = None, min_confidence: float = 0.0, params: SamplingParams = ...)
orchestrator.BetaStop(*, confidence: float = 0.95)
orchestrator.Candidates(*, samples: tuple[Sample, ...], answers: tuple[str | None, ...], ask:
    Ask | None = None, rate: Rate | None = None, scores: Mapping[str, Scores] = ...)
orchestrator.ConfidenceFloor(*, level: float, window: int = 2048, k: int = 20)
orchestrator.Constraint(*, json: str | None = None, regex: str | None = None, choice: tuple[str,
    ...] | None = None, grammar: str | None = None)
orchestrator.DeepConf(*, max_n: int, by: LowestConfidence, select: Scorer, warm_up: int = 16,
    keep: float = 0.9, share: float = 0.95, ahead: int = 4, extract: Extractor = ...,
    equivalence: Equivalence | None = None, min_confidence: float = 0.0, params: SamplingParams
    = ...)
orchestrator.EValueStop(*, alpha: float = 0.05)
orchestrator.Equivalence { async __call__(query: Query, answers: Sequence[str]) -> Sequence[int]
    }
orchestrator.Extractor { __call__(text: str) -> str | None }
orchestrator.Message(*, role: Literal['system', 'user', 'assistant'], content: str)
orchestrator.ModelCalls { ask: Ask; rate: Rate }
orchestrator.Outcome: ANSWERED=answered, ABSTAINED=abstained, ERROR=error,
    QUARANTINED=quarantined, OUT_OF_BUDGET=out_of_budget
orchestrator.Query(*, id: str, prompt: str | tuple[Message, ...], meta: Mapping[str, Any] = ...)
orchestrator.RaceToValid(*, n: int, rule: Validator, extract: Extractor = ..., params:
    SamplingParams = ...)
orchestrator.Record(*, query_id: str, strategy: str, outcome: Outcome, index: int | None = None,
    answer: str | None = None, confidence: float = nan, error: str = '', usage: Usage = ...,
    seconds: float = 0.0)
orchestrator.Request(*, id: str, prompt: str | tuple[Message, ...], params: SamplingParams,
    seed: int | None, affinity: str = '', response: str | None = None)
orchestrator.ReservationStop(*, cost: float = 0.01, highest: float | None = None, min_scores:
    int = 5)
orchestrator.Sample(*, id: str, text: str, token_ids: tuple[int, ...] = (), logprobs:
    tuple[float, ...] | None = None, top_logprobs: TopLogprobs | None = None, status: Status =
    Status.OK, error: str = '', prompt_tokens: int = 0, cached_tokens: int = 0,
    generated_tokens: int = 0, first_token_s: float = 0.0, total_s: float = 0.0, engine: str =
    '')
orchestrator.Sampler { async __call__(index: int, params: SamplingParams) -> Sample; async
    ask(name: str, prompt: str | tuple[Message, ...], params: SamplingParams) -> Sample; async
    rate(identity: Identity, responses: Sequence[str]) -> tuple[Sample, ...]; async abort(index:
    int) -> None }
orchestrator.SamplingParams(*, temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0,
    min_p: float = 0.0, max_tokens: int = 256, stop: tuple[str, ...] = (), logprobs: int | None
    = None, constraint: Constraint | None = None, token_texts: bool = False, floor:
    ConfidenceFloor | None = None)
orchestrator.ScoreRule { stops_on(scores: Scores, answers: Sequence[str | None], max_n: int) ->
    bool }
orchestrator.Scorer { needs_logprobs: int | None; async __call__(query: Query, candidates:
    Candidates) -> Scores }
orchestrator.Scores
orchestrator.Selection(*, index: int | None, answer: str | None, samples: tuple[Sample, ...],
    scores: Scores, confidence: float)
orchestrator.Status: OK=ok, TRUNCATED=truncated, UNPARSEABLE=unparseable, ERROR=error,
    CANCELLED=cancelled
orchestrator.StopRule { __call__(answers: Sequence[str | None], max_n: int) -> bool }
orchestrator.Strategy { async __call__(query: Query, sampler: Sampler) -> Selection }
orchestrator.TopLogprobs(*, k: int, packed: bytes, texts: tuple[str, ...] = ())
orchestrator.UnanimousWindow(*, size: int = 5)
orchestrator.Usage(*, samples: int = 0, prompt_tokens: int = 0, cached_tokens: int = 0,
    generated_tokens: int = 0, cancelled_tokens: int = 0, scorer_tokens: int = 0)
orchestrator.Validator { async __call__(query: Query, candidates: Candidates) ->
    NDArray[np.bool_] }
orchestrator.VoteStands(*, risk: float = 0.1, prior: float = 1.0)
orchestrator.WeightedConsensus(*, share: float = 0.95, warm_up: int = 16)
orchestrator.WholeText()
orchestrator.WithinBudget(*, budget: BatchBudget, select: Scorer, extract: Extractor = ...,
    equivalence: Equivalence | None = None, min_confidence: float = 0.0, params: SamplingParams
    = ...)
orchestrator.ask(question: str | tuple[Message, ...], strategy: Strategy | BatchStrategy,
    backend: BackendConfig, *, seed: int = 0) -> Selection
orchestrator.run(queries: Iterable[Query], strategy: Strategy | BatchStrategy, backend:
    BackendConfig, *, seed: int = 0) -> list[Record]
scorers.AfterMarker(*, marker: str = '####')
scorers.AllOf(*, rules: tuple[Validator, ...])
scorers.AmongValid(*, rule: Validator, by: Scorer)
scorers.BestOfMajority(*, by: Scorer, min_share: float = 0.1)
scorers.Borda(*, by: Scorer, power: float = 1.0)
scorers.Boxed()
scorers.ChoiceEquivalence(*, letters: str = 'ABCDE')
scorers.ChoiceLetter(*, letters: str = 'ABCDE')
scorers.CodeBlock(*, language: str | None = None, needs_fence: bool = False)
scorers.Confidence(*, measure: Measure = 'bottom', window: int = 2048, k: int = 20)
scorers.Difference(mean: float, low: float, high: float)
scorers.FinalAnswer()
scorers.First()
scorers.FirstValid(*, regex: str | None = None, json_schema: str | None = None, rule: Validator
    | None = None)
scorers.Interval(low: float, high: float)
scorers.JsonEquivalence()
scorers.JsonValid(*, schema: str | None = None, of: Of = 'text')
scorers.Judge(*, criterion: str = 'Is the response a right and complete answer to the
    question?', scale: int = 5, repeats: int = 1, by: By = 'text', params: SamplingParams = ...)
scorers.LastNumber()
scorers.LengthPenalisedLogprob(*, alpha: float = 0.6)
scorers.Longest()
scorers.MajorityOfBests(*, by: Scorer, m: int | None = None)
scorers.MajorityVote()
scorers.Matches(*, pattern: str, of: Of = 'answer')
scorers.MathEquivalence(*, timeout_s: float = 2.0)
scorers.MeanLogprob()
scorers.MinimumBayesRisk(*, utility: Literal['exact', 'f1', 'chrf'] | Utility = 'f1')
scorers.NumberEquivalence(*, tolerance: float = 0.0)
scorers.PassesTests(*, tests: str | None = None, key: str = 'tests', timeout_s: float = 5.0,
    memory_mb: int = 512)
scorers.Perplexity()
scorers.Pessimistic(*, by: Scorer, alpha: float = 1.0)
scorers.Random(*, seed: int = 0)
scorers.Regex(*, pattern: str, group: int | str | None = None)
scorers.RewardModel(model: BackendConfig, *, aggregate: Aggregate = 'last', scale: Scale =
    'raw', by: By = 'text')
scorers.RoutedVote(*, threshold: float, otherwise: Scorer = ...)
scorers.Satisfies(check: Callable[[str], bool], of: Of = 'answer')
scorers.SelfCertainty(*, k: int = 20)
scorers.Shortest()
scorers.SqlResultEquivalence(*, schema: str, dialect: Dialect = 'sqlite')
scorers.SqlValid(*, schema: str = '', dialect: Dialect = 'sqlite', check: Check = 'explain', of:
    Of = 'answer')
scorers.StoredScore(*, name: str)
scorers.SumLogprob()
scorers.TopVote(*, by: Scorer, k: int)
scorers.Tournament(*, kind: Literal['knockout', 'league', 'bradley_terry'] = 'knockout',
    opponents: int | None = None, swap: bool = True, criterion: str = 'Compare how right and how
    complete the responses are.', by: By = 'text', params: SamplingParams = ...)
scorers.UniversalVote(*, criterion: str = 'Select the most consistent response, based on
    majority consensus.', params: SamplingParams = ...)
scorers.UserChoice(*, chosen: Mapping[str, str] = ...)
scorers.Watch(*, peak_k: int, low_k: int, high_k: int, at_peak: float, largest_k: int,
    at_largest: float, loss: float, loss_low: float, fitted_k: float, is_worse: bool)
scorers.WeightedVote(*, by: Scorer, transform: Transform = 'raw', temperature: float = 1.0)
scorers.YamlValid(*, schema: str | None = None, of: Of = 'text')
scorers.all_at_k(n: int, c: int, k: int) -> float
scorers.best_of_k(scores: Scores, values: Scores) -> Scores
scorers.canonical_number(text: str) -> str | None
scorers.clustered_interval(means: Sequence[float] | Scores, confidence: float = 0.95) ->
    Interval
scorers.extrapolate(right: Counts, drawn: Counts, ks: Sequence[int], seed: int = 0, replicates:
    int = 200) -> list[Extrapolation]
scorers.fit_beta_binomial(right: Counts, drawn: Counts) -> BetaBinomial
scorers.fit_power_law(ks: Counts, coverage: Scores) -> PowerLaw
scorers.majority_at_k(counts: Sequence[int], values: Sequence[float], nulls: int = 0, max_k: int
    | None = None) -> Scores
scorers.mcnemar(first: Scores, second: Scores) -> float
scorers.mean_logprob(samples: Sequence[Sample]) -> Scores
scorers.paired_difference(first: Scores, second: Scores, confidence: float = 0.95, seed: int =
    0) -> Difference
scorers.pass_at_k(n: int, c: int, k: int) -> float
scorers.self_certainty(logprobs: NDArray[np.float32]) -> float
scorers.sum_logprob(samples: Sequence[Sample]) -> Scores
scorers.vote_shares(answers: Sequence[str | None]) -> Scores
scorers.watch(curves: Scores, seed: int = 0) -> Watch
scorers.weighted_choices(answers: Sequence[str | None], weights: Scores, values: Scores,
    subsets: NDArray[np.int64]) -> Scores
scorers.wilson_interval(successes: int, n: int, confidence: float = 0.95) -> Interval
model_backend.VLLM(model: str, *, dtype: str = 'auto', max_model_len: int | None = None,
    max_num_seqs: int = 128, tensor_parallel_size: int = 1, distributed_executor_backend: str |
    None = None, gpu_memory_utilization: float = 0.9, cpu_kv_cache_gib: int = 1, enforce_eager:
    bool | None = None, enable_prefix_caching: bool = True, revision: str | None = None,
    trust_remote_code: bool = False, stall_s: float = 120.0, ray_metrics: bool = False)
model_backend.FakeBackend(*, script: Script, max_concurrency: int = 256, gpus: int = 0, clock:
    Clock = ...)
model_backend.LoopClock()
model_backend.ManualClock()
model_backend.Reply(*, tokens: tuple[str, ...], logprobs: tuple[float, ...] | None = None, top:
    tuple[Mapping[str, float], ...] | None = None, first_token_s: float = 0.0, token_s: float =
    0.0, prompt_tokens: int = 1, error: BackendError | None = None)
model_backend.Rewards(*, of: Callable[[str], Sequence[float]], seconds: float = 0.0)
model_backend.SeededAnswers(*, answers: tuple[str, ...], weights: tuple[int, ...],
    first_token_s: float = 0.0, token_s: float = 0.0)
model_backend.Steps(*, tag: str, separator: str = '\\n\\n', label: int = -1)
model_backend.TorchReward(model: str, *, steps: Steps | None = None, dtype: Dtype = 'auto',
    max_model_len: int | None = None, max_batch_tokens: int = 8192, max_concurrency: int = 256,
    revision: str | None = None, trust_remote_code: bool = False, question_after: str | None =
    None)
model_backend.VLLMReward(model: str, *, steps: Steps | None = None, dtype: str = 'auto',
    max_model_len: int | None = None, max_num_seqs: int = 128, tensor_parallel_size: int = 1,
    gpu_memory_utilization: float = 0.9, cpu_kv_cache_gib: int = 1, enforce_eager: bool | None =
    None, revision: str | None = None, trust_remote_code: bool = False, stall_s: float = 120.0,
    question_after: str | None = None)
"""

ERRORS = """
BackendError(NbestError)
EngineDead(BackendError)
InputError(NbestError, ValueError)
NbestError(Exception)
NotBegun(EngineDead)
OutOfBudget(NbestError)
Overloaded(BackendError)
Quarantined(BackendError)
RequestRejected(BackendError)
RunChanged(StoreError)
RunLocked(StoreError)
StoreError(NbestError)
"""


def surface() -> str:
    """One entry a public name, in the form of the table."""
    entries = [
        f"{package.__name__}.{name}{shape(getattr(package, name))}"
        for package in PACKAGES
        for name in package.__all__
    ]
    return "".join(f"{wrapped(entry)}\n" for entry in entries)


def wrapped(entry: str) -> str:
    return textwrap.fill(entry, 96, subsequent_indent="    ", break_on_hyphens=False)


def shape(thing: object) -> str:
    """A signature; of a protocol its methods, of an enum its values."""
    if isinstance(thing, type) and issubclass(thing, Enum):
        return ": " + ", ".join(f"{member.name}={member.value}" for member in thing)
    if getattr(thing, "_is_protocol", False):
        return " { " + "; ".join(methods(thing)) + " }"
    if inspect.isclass(thing) or inspect.isfunction(thing):
        return signature(thing)
    return ""  # an alias of a type


def methods(protocol: object) -> Iterator[str]:
    for name, value in vars(protocol).items():
        if isinstance(value, property):
            assert value.fget is not None
            yield f"{name}: {inspect.signature(value.fget).return_annotation}"
        elif inspect.isfunction(value) and (name == "__call__" or not name.startswith("_")):
            prefix = "async " if inspect.iscoroutinefunction(value) else ""
            yield f"{prefix}{name}{signature(value)}"


def signature(function: Callable[..., object]) -> str:
    found = inspect.signature(function)
    parts: list[str] = []
    for parameter in found.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        if parameter.name != "self":
            parts.append(described(parameter))
    end = "" if inspect.isclass(function) else f" -> {found.return_annotation}"
    return f"({', '.join(parts)}){end}"


def described(parameter: inspect.Parameter) -> str:
    """`name: type = default`; a default that is an object is not spelled out."""
    annotation = getattr(parameter.annotation, "__forward_arg__", parameter.annotation)
    text = f"{parameter.name}: {annotation}"
    default = parameter.default
    if default is parameter.empty:
        return text
    if isinstance(default, Enum):
        return f"{text} = {type(default).__name__}.{default.name}"
    return f"{text} = {default!r}" if isinstance(default, PLAIN) else f"{text} = ..."


def test_public_names_and_signatures_are_those_of_the_table() -> None:
    assert surface() == SURFACE.lstrip("\n")


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_public_names_are_there_once_and_live_in_their_package(package: ModuleType) -> None:
    assert len(set(package.__all__)) == len(package.__all__)
    for name in package.__all__:
        home = getattr(getattr(package, name), "__module__", package.__name__)
        assert home.partition(".")[0] in (package.__name__, "numpy")


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_a_name_that_is_not_there_is_an_attribute_error(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match=f"'{package.__name__}' has no attribute 'Nothing'"):
        _ = package.Nothing


def test_every_noun_is_frozen_slotted_and_keyword_only() -> None:
    types = import_module("orchestrator.types")
    nouns = [n for n in vars(types).values() if inspect.isclass(n) and dataclasses.is_dataclass(n)]
    assert len(nouns) == 12
    for noun in nouns:
        kinds = {p.kind for p in inspect.signature(noun).parameters.values()}
        assert kinds == {inspect.Parameter.KEYWORD_ONLY}, noun
        assert "__slots__" in vars(noun), noun
        assert noun.__dataclass_params__.frozen, noun  # type: ignore[attr-defined]


def test_every_noun_and_protocol_is_public() -> None:
    """But for the store, which is no business of a user."""
    for home, hidden in (("types", set[str]()), ("protocols", {"SampleStore"})):
        module = import_module(f"orchestrator.{home}")
        classes = {name: v for name, v in vars(module).items() if inspect.isclass(v)}
        here = {name for name, v in classes.items() if v.__module__ == module.__name__}
        assert here - set(orchestrator.__all__) == hidden


def tree() -> str:
    raised = [e for e in vars(errors).values() if inspect.isclass(e)]
    lines = (f"{e.__name__}({', '.join(b.__name__ for b in e.__bases__)})" for e in raised)
    return "".join(f"{line}\n" for line in sorted(lines))


def test_the_tree_of_errors() -> None:
    assert tree() == ERRORS.lstrip("\n")


@pytest.mark.parametrize("name", re.findall(r"^\w+", ERRORS, re.M))
def test_errors_survive_pickling_with_their_text(name: str) -> None:
    kind = getattr(errors, name)
    copy = pickle.loads(pickle.dumps(kind("n must be at least 1, got 0")))
    assert type(copy) is kind
    assert str(copy) == "n must be at least 1, got 0"


EXAMPLE = """
import sys
from model_backend import VLLM
from orchestrator import BestOfN, ask
from scorers import MajorityVote
strategy = BestOfN(n=16, select=MajorityVote())
backend = VLLM("smollm2-135m")
print(sorted({"vllm", "torch", "ray", "transformers", "pandas"} & set(sys.modules)))
print(callable(ask), strategy.n, backend.model)
"""


def test_the_example_of_the_readme_imports_no_engine() -> None:
    command = [sys.executable, "-W", "error", "-c", EXAMPLE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["[]", "True 16 smollm2-135m"]
