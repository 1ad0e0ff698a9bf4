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

import pytest

import nbest
from nbest.orchestrator import errors

ROOT = Path(__file__).parents[1]
PLAIN = (str, int, float, tuple, type(None))

SURFACE = """
nbest.Adaptive(*, select: Scorer, extract: Extractor = ..., equivalence: Equivalence | None =
    None, min_confidence: float = 0.0, params: SamplingParams = ..., max_n: int, rule: StopRule
    | ScoreRule = ..., min_n: int = 2, ahead: int = 4)
nbest.AdaptiveBranching(*, n: int)
nbest.AfterMarker(*, marker: str = '####', reads_reasoning: bool = False)
nbest.AllOf(*, rules: tuple[Validator, ...])
nbest.AmongValid(*, rule: Validator, by: Scorer)
nbest.Arm(*, name: str, params: SamplingParams | None = None, weight: int = 1, prompt: str = '',
    model: NamedModel | None = None)
nbest.ArmWeight(*, weights: Mapping[str, float])
nbest.AsksModel { asks_model: bool }
nbest.Backend { async generate(request: Request) -> Sample; async abort(request_id: str) -> None
    }
nbest.BackendConfig { max_concurrency: int; gpus: float; identity: Mapping[str, str | int |
    None]; open(name: str = '') -> AbstractAsyncContextManager[Backend] }
nbest.BatchBudget(*, average: float | None = None, tokens: int | None = None, max_n: int = 64,
    first_n: int = 3, round_size: int = 64)
nbest.BatchStrategy { async draw(queries: Sequence[Query], samplers: Sequence[Sampler]) ->
    Sequence[Strategy] }
nbest.Beam(*, n: int, width: int = 4)
nbest.BestFirst(*, n: int, width: int = 4, max_nodes: int = 256, ahead: int = 1)
nbest.BestOfMajority(*, by: Scorer, min_share: float = 0.1)
nbest.BestOfN(*, select: Scorer, extract: Extractor = ..., equivalence: Equivalence | None =
    None, min_confidence: float = 0.0, params: SamplingParams = ..., n: int)
nbest.BetaStop(*, confidence: float = 0.95)
nbest.Borda(*, by: Scorer, power: float = 1.0)
nbest.Bounded { score_bounds: tuple[float, float] }
nbest.Boxed(*, reads_reasoning: bool = False)
nbest.BudgetForcing(*, select: Scorer, extract: Extractor = ..., equivalence: Equivalence | None
    = None, min_confidence: float = 0.0, params: SamplingParams = ..., n: int, end: int, budget:
    int, waits: int = 1, wait: str = 'Wait', closing: str = '</think>\\n\\n')
nbest.Candidates(*, samples: tuple[Sample, ...], answers: tuple[str | None, ...], ask: Ask |
    None = None, ask_model: AskModel | None = None, rate: Rate | None = None, scores:
    Mapping[str, Scores] = ...)
nbest.Cascade(*, select: Scorer, extract: Extractor = ..., equivalence: Equivalence | None =
    None, min_confidence: float = 0.0, params: SamplingParams = ..., stages: tuple[Stage, ...])
nbest.ChainScript(*, depth: int, p: float, gap: float = 0.0, step_tokens: int = 1,
    first_token_s: float = 0.0, token_s: float = 0.0)
nbest.ChoiceEquivalence(*, letters: str = 'ABCDE')
nbest.ChoiceLetter(*, letters: str = 'ABCDE', reads_reasoning: bool = False)
nbest.CodeBlock(*, language: str | None = None, needs_fence: bool = False, reads_reasoning: bool
    = False)
nbest.Composed(*, answer: str, fields: Mapping[str, float])
nbest.Confidence(*, measure: Measure = 'bottom', window: int = 2048, k: int = 20)
nbest.ConfidenceFloor(*, level: float, window: int = 2048, k: int = 20)
nbest.Constraint(*, json: str | None = None, regex: str | None = None, choice: tuple[str, ...] |
    None = None, grammar: str | None = None)
nbest.Corrected(*, select: Scorer, extract: Extractor = ..., equivalence: Equivalence | None =
    None, min_confidence: float = 0.0, params: SamplingParams = ..., n: int = 1, rule:
    Validator, corrections: int = 1, retries: int = 2, compose: Composer | None = None,
    half_free: bool = False, words: str = 'Give the whole answer again, corrected, and nothing
    else.')
nbest.DVTS(*, n: int, width: int = 4)
nbest.DeepConf(*, select: Scorer, extract: Extractor = ..., equivalence: Equivalence | None =
    None, min_confidence: float = 0.0, params: SamplingParams = ..., max_n: int, by:
    LowestConfidence, warm_up: int = 16, keep: float = 0.9, share: float = 0.95, ahead: int = 4)
nbest.Difference(mean: float, low: float, high: float)
nbest.EValueStop(*, alpha: float = 0.05)
nbest.Endpoint(model: str, *, base_url: str, api_key_env: str | None = None, max_concurrency:
    int = 64, server: Literal['auto', 'openai', 'vllm', 'sglang', 'llama.cpp', 'other'] =
    'auto', seeds: Literal['checked', 'trusted', 'none'] = 'checked', reasoning: str = 'tags',
    stream: bool = True, body: Mapping[str, Any] = ..., price: Mapping[str, float] = ...,
    revision: str | None = None, connect_timeout_s: float = 10.0, read_timeout_s: float = 600.0,
    patience_s: float = 60.0)
nbest.Ensemble(*, by: tuple[Scorer, ...], weights: tuple[float, ...] = (), combine: Combine =
    'rank')
nbest.Equivalence { async __call__(query: Query, answers: Sequence[str]) -> Sequence[int] }
nbest.Explains { async why(query: Query, text: str) -> tuple[str, ...] }
nbest.Extractor { __call__(text: str) -> str | None }
nbest.FakeBackend(*, script: Script, max_concurrency: int = 256, gpus: float = 0, clock: Clock =
    ...)
nbest.FinalAnswer(*, reads_reasoning: bool = False)
nbest.First()
nbest.FirstValid(*, regex: str | None = None, json_schema: str | None = None, rule: Validator |
    None = None)
nbest.FollowsInstructions(*, ids: str = 'instruction_id_list', settings: str = 'kwargs', loose:
    bool = False, of: Of = 'text')
nbest.GenSelect(*, window: int = 8, rotations: int = 1, criterion: str = 'Compare the responses
    and find out which one is most likely right.', by: By = 'text', reads_reasoning: bool =
    False, params: SamplingParams = ..., model: NamedModel | None = None)
nbest.Interval(low: float, high: float)
nbest.JsonEquivalence()
nbest.JsonValid(*, schema: str | Any | None = None, of: Of = 'text')
nbest.JsonValue(*, repair: Repair = 'lossless', schema: str | None = None)
nbest.Judge(*, criterion: str = 'Is the response a right and complete answer to the question?',
    scale: int = 5, repeats: int = 1, by: By = 'text', reads_reasoning: bool = False, params:
    SamplingParams = ..., model: NamedModel | None = None)
nbest.LastNumber(*, reads_reasoning: bool = False)
nbest.Leaf(*, path: Path, weight: float)
nbest.LengthPenalisedLogprob(*, alpha: float = 0.6)
nbest.Likelihood(model: NamedModel, *, of: Of = 'mean', reads_reasoning: bool = False)
nbest.Longest()
nbest.LoopClock()
nbest.MajorityOfBests(*, by: Scorer, m: int | None = None)
nbest.MajorityVote()
nbest.ManualClock()
nbest.Margin(*, c: float = 1.83)
nbest.Matches(*, pattern: str, of: Of = 'answer')
nbest.MathEquivalence(*, timeout_s: float = 2.0)
nbest.MeanLogprob()
nbest.Message(*, role: Literal['system', 'user', 'assistant'], content: str)
nbest.MinimumBayesRisk(*, utility: Literal['exact', 'f1', 'chrf'] | Utility = 'f1')
nbest.ModelCalls { ask: Ask; ask_model: AskModel; rate: Rate }
nbest.NamedModel(*, name: str, settings: BackendConfig)
nbest.Node(*, score: float, has_ended: bool = False, text: str = '')
nbest.NodeSampler { async step(path: Path, prefix: Prefix, params: SamplingParams) -> Sample;
    async revise(path: Path, prompt: Prompt, params: SamplingParams) -> Sample; async
    abort_node(path: Path) -> None }
nbest.NumberEquivalence(*, tolerance: float = 0.0)
nbest.OpenModel(backend: BackendConfig)
nbest.Outcome: ANSWERED=answered, ABSTAINED=abstained, ERROR=error, QUARANTINED=quarantined,
    OUT_OF_BUDGET=out_of_budget
nbest.Output(*, value: T | None, layer: Layer | None, changes: tuple[str, ...], agreement:
    float, fields: dict[str, float], selection: Selection)
nbest.Panel(*, arms: tuple[Arm, ...], stages: tuple[int, ...] = ())
nbest.ParticleFilter(*, n: int, target: Target = 'ratio', resample: Scheme = 'systematic',
    threshold: float = 0.5, anneal: int | None = None)
nbest.PassesTests(*, tests: str | None = None, key: str = 'tests', template: str | None = None,
    before: str | None = None, timeout_s: float = 5.0, memory_mb: int = 512)
nbest.Perplexity()
nbest.Pessimistic(*, by: Scorer, alpha: float = 1.0)
nbest.PlainFirst(*, by: Scorer, language: Language = 'json')
nbest.Plan { ask() -> Sequence[Path] | None; tell(path: Path, node: Node) -> None; leaves() ->
    Sequence[Leaf] }
nbest.PlanSettings { n: int; plans(key: str) -> tuple[Plan, ...] }
nbest.Pointwise { is_pointwise: bool }
nbest.Query(*, id: str, prompt: str | tuple[Message, ...], meta: Mapping[str, Any] = ...,
    variants: Mapping[str, str | tuple[Message, ...]] = ...)
nbest.RaceToValid(*, n: int, rule: Validator, ahead: int | None = None, extract: Extractor =
    ..., params: SamplingParams = ...)
nbest.Random(*, seed: int = 0)
nbest.Rates { rates: Literal['rewards', 'log-probabilities', 'nothing'] }
nbest.Reading(*, value: Json, layer: Layer, changes: tuple[str, ...] = ())
nbest.Rebase(*, n: int, temperature: float = 0.2)
nbest.Record(*, query_id: str, strategy: str, outcome: Outcome, index: int | None = None,
    answer: str | None = None, confidence: float = nan, error: str = '', usage: Usage = ...,
    seconds: float = 0.0, selection: Selection | None = None)
nbest.Regex(*, pattern: str, group: int | str | None = None, reads_reasoning: bool = False)
nbest.Reply(*, tokens: tuple[str, ...], token_ids: tuple[int, ...] | None = None, logprobs:
    tuple[float, ...] | None = None, top: tuple[Mapping[str, float], ...] | None = None,
    first_token_s: float = 0.0, token_s: float = 0.0, prompt_tokens: int = 1, error:
    BackendError | None = None)
nbest.Request(*, id: str, prompt: str | tuple[Message, ...], params: SamplingParams, seed: int |
    None, affinity: str = '', response: str | None = None, prefix: Prefix | None = None)
nbest.ReservationStop(*, cost: float = 0.01, highest: float | None = None, min_scores: int = 5)
nbest.Revise(*, select: Scorer, extract: Extractor = ..., equivalence: Equivalence | None =
    None, min_confidence: float = 0.0, params: SamplingParams = ..., plan: PlanSettings = ...,
    score: Scorer | None = None, rounds: int = 3, words: str = 'Look at your answer again. If
    anything in it is wrong, correct it. Give the whole answer.', critique: str = '', rule:
    Validator | None = None, seed: int = 0)
nbest.RewardModel(model: BackendConfig, *, aggregate: Aggregate = 'last', scale: Scale = 'raw',
    by: By = 'text', reads_reasoning: bool = False)
nbest.Rewards(*, of: Callable[[str], Sequence[float]], seconds: float = 0.0)
nbest.RoutedVote(*, threshold: float, otherwise: Scorer = ...)
nbest.RunTables(run: StrPath, selectors: tuple[str, ...] | None)
nbest.Sample(*, id: str, text: str, reasoning: str = '', token_ids: tuple[int, ...] = (),
    logprobs: tuple[float, ...] | None = None, top_logprobs: TopLogprobs | None = None, status:
    Status = Status.OK, stop: str = '', error: str = '', prompt_tokens: int = 0, cached_tokens:
    int = 0, generated_tokens: int = 0, reasoning_tokens: int = 0, first_token_s: float = 0.0,
    total_s: float = 0.0, engine: str = '', arm: str = '')
nbest.Sampler { async __call__(index: int, params: SamplingParams) -> Sample; async ask(name:
    str, prompt: Prompt, params: SamplingParams) -> Sample; ask_model(identity: Identity) ->
    Ask; async rate(identity: Identity, responses: Sequence[str]) -> tuple[Sample, ...]; async
    abort(index: int) -> None }
nbest.SamplingParams(*, temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0, min_p:
    float = 0.0, presence_penalty: float = 0.0, frequency_penalty: float = 0.0,
    repetition_penalty: float = 1.0, max_tokens: int = 256, min_tokens: int = 0, stop:
    tuple[str, ...] = (), stop_token_ids: tuple[int, ...] = (), include_stop_str_in_output: bool
    = False, ignore_eos: bool = False, bad_words: tuple[str, ...] = (), allowed_token_ids:
    tuple[int, ...] = (), logit_bias: tuple[tuple[int, float], ...] = (), skip_special_tokens:
    bool = True, spaces_between_special_tokens: bool = True, logprobs: int | None = None,
    constraint: Constraint | None = None, thinking: Thinking | None = None, token_texts: bool =
    False, floor: ConfidenceFloor | None = None)
nbest.Satisfies(check: Callable[[str], bool], of: Of = 'answer')
nbest.ScoreRule { stops_on(scores: Scores, answers: Sequence[str | None], max_n: int) -> bool }
nbest.Scorer { needs_logprobs: int | None; async __call__(query: Query, candidates: Candidates)
    -> Scores }
nbest.Scores
nbest.Search(*, select: Scorer, extract: Extractor = ..., equivalence: Equivalence | None =
    None, min_confidence: float = 0.0, params: SamplingParams = ..., plan: PlanSettings, score:
    Scorer, step: Step = ..., max_steps: int = 40, lookahead: int = 0, seed: int = 0)
nbest.SeededAnswers(*, answers: tuple[str, ...], weights: tuple[int, ...], first_token_s: float
    = 0.0, token_s: float = 0.0)
nbest.Selection(*, index: int | None, answer: str | None, samples: tuple[Sample, ...], scores:
    Scores, confidence: float, pruned_tokens: int = 0, fields: Mapping[str, float] = ...)
nbest.SelfCertainty(*, k: int = 20)
nbest.Shortest()
nbest.SqlResultEquivalence(*, schema: str | None = None, key: str = 'schema', dialect: Dialect =
    'sqlite', as_sets: bool = False)
nbest.SqlValid(*, schema: str = '', key: str | None = None, dialect: Dialect = 'sqlite', check:
    Check = 'explain', of: Of = 'answer')
nbest.Stage(*, n: int, min_confidence: float | None = None)
nbest.Status: OK=ok, TRUNCATED=truncated, UNPARSEABLE=unparseable, ERROR=error,
    CANCELLED=cancelled
nbest.Step(*, stop: tuple[str, ...] = ('\\n\\n',), stop_token_ids: tuple[int, ...] = (),
    max_tokens: int = 256, final: str = '')
nbest.Steps(*, tag: str, separator: str = '\\n\\n', label: int = -1)
nbest.StopRule { __call__(answers: Sequence[str | None], max_n: int) -> bool }
nbest.StoredScore(*, name: str)
nbest.Strategy { async __call__(query: Query, sampler: Sampler) -> Selection }
nbest.StructuredOutput(*, schema: Any, language: Language = 'json', mode: Mode = 'prompt',
    repair: Repair = 'lossless', corrections: int = 1, retries: int = 2, n: int = 1, choose:
    ChooseBy = 'vote', min_confidence: float = 0.0, params: SamplingParams = ..., words: str |
    None = None)
nbest.SumLogprob()
nbest.Synthesis(*, select: Scorer, extract: Extractor = ..., equivalence: Equivalence | None =
    None, min_confidence: float = 0.0, params: SamplingParams = ..., n: int, k: int = 4, rounds:
    int = 1, words: str = 'Here are several answers to this question. Some may be wrong, and
    even the best may be incomplete. Work out one answer that is better than each of them.',
    seed: int = 0)
nbest.Thinking(*, enabled: bool | None = None, effort: str | None = None, budget: int | None =
    None)
nbest.TopLogprobs(*, k: int, packed: bytes, texts: tuple[str, ...] = ())
nbest.TopVote(*, by: Scorer, k: int)
nbest.TorchReward(model: str, *, steps: Steps | None = None, dtype: Dtype = 'auto',
    max_model_len: int | None = None, max_batch_tokens: int = 8192, max_concurrency: int = 256,
    revision: str | None = None, trust_remote_code: bool = False, question_after: str | None =
    None)
nbest.Tournament(*, kind: Literal['knockout', 'league', 'bradley_terry', 'pivots'] = 'knockout',
    opponents: int | None = None, pivots: int | None = None, swap: bool = True, criterion: str =
    'Compare how right and how complete the responses are.', by: By = 'text', reads_reasoning:
    bool = False, params: SamplingParams = ..., model: NamedModel | None = None)
nbest.UCT(*, n: int, width: int = 4, c: float = 1.0, max_nodes: int = 256, ahead: int = 1)
nbest.UnanimousWindow(*, size: int = 5)
nbest.UniversalVote(*, criterion: str = 'Select the most consistent response, based on majority
    consensus.', params: SamplingParams = ..., model: NamedModel | None = None)
nbest.Usage(*, samples: int = 0, prompt_tokens: int = 0, cached_tokens: int = 0,
    generated_tokens: int = 0, cancelled_tokens: int = 0, scorer_tokens: int = 0, pruned_tokens:
    int = 0)
nbest.UserChoice(*, chosen: Mapping[str, str] = ...)
nbest.VLLM(model: str, *, dtype: str = 'auto', max_model_len: int | None = None, max_num_seqs:
    int = 128, tensor_parallel_size: int = 1, distributed_executor_backend: str | None = None,
    gpu_memory_utilization: float = 0.9, cpu_kv_cache_gib: int = 1, enforce_eager: bool | None =
    None, enable_prefix_caching: bool = True, revision: str | None = None, lora: str | None =
    None, trust_remote_code: bool = False, chat_template: str | None = None,
    chat_template_kwargs: Mapping[str, Any] = ..., reasoning: str = 'tags', engine: Mapping[str,
    Any] = ..., stall_s: float = 120.0, ray_metrics: bool = False)
nbest.VLLMReward(model: str, *, steps: Steps | None = None, dtype: str = 'auto', max_model_len:
    int | None = None, max_num_seqs: int = 128, tensor_parallel_size: int = 1,
    gpu_memory_utilization: float = 0.9, cpu_kv_cache_gib: int = 1, enforce_eager: bool | None =
    None, revision: str | None = None, trust_remote_code: bool = False, stall_s: float = 120.0,
    question_after: str | None = None)
nbest.Validator { async __call__(query: Query, candidates: Candidates) -> NDArray[np.bool_] }
nbest.VoteByField(*, language: Language = 'json')
nbest.VoteStands(*, risk: float = 0.1, prior: float = 1.0)
nbest.Watch(*, peak_k: int, low_k: int, high_k: int, at_peak: float, largest_k: int, at_largest:
    float, loss: float, p_value: float, fitted_k: float, is_enough: bool = True, is_worse: bool)
nbest.WeightedConsensus(*, share: float = 0.95, warm_up: int = 16)
nbest.WeightedVote(*, by: Scorer, transform: Transform = 'raw', temperature: float = 1.0)
nbest.WholeText(*, reads_reasoning: bool = False)
nbest.WithinBudget(*, select: Scorer, extract: Extractor = ..., equivalence: Equivalence | None
    = None, min_confidence: float = 0.0, params: SamplingParams = ..., budget: BatchBudget)
nbest.YamlValid(*, schema: str | Any | None = None, of: Of = 'text')
nbest.YamlValue(*, schema: str | None = None, repair: Repair = 'lossless')
nbest.all_at_k(n: int, c: int, k: int) -> float
nbest.ask(question: Question, strategy: Strategy | BatchStrategy | None = None, backend:
    BackendConfig | None = None, *, output: object = None, n: int = 1, seed: int = 0, panel:
    Panel | None = None) -> Selection | Output[Any]
nbest.best_of_k(scores: Scores, values: Scores) -> Scores
nbest.canonical_number(text: str) -> str | None
nbest.clustered_interval(means: Sequence[float] | Scores, confidence: float = 0.95, clusters:
    Clusters | None = None) -> Interval
nbest.extrapolate(right: Counts, drawn: Counts, ks: Sequence[int]) -> list[Extrapolation]
nbest.fit_beta_binomial(right: Counts, drawn: Counts) -> BetaBinomial
nbest.fit_power_law(ks: Counts, coverage: Scores) -> PowerLaw
nbest.g_pass_at_k(n: int, c: int, k: int, share: float) -> float
nbest.load(run: StrPath, selectors: Sequence[str] | None = None) -> RunTables
nbest.majority_at_k(counts: Sequence[int], values: Sequence[float], nulls: int = 0, max_k: int |
    None = None) -> Scores
nbest.mcnemar(first: Scores, second: Scores) -> float
nbest.mean_logprob(samples: Sequence[Sample]) -> Scores
nbest.open_model(backend: BackendConfig) -> OpenModel
nbest.paired_difference(first: Scores, second: Scores, confidence: float = 0.95, clusters:
    Clusters | None = None) -> Difference
nbest.pass_at_k(n: int, c: int, k: int) -> float
nbest.read_json(text: str, *, schema: object = None, truncated: bool = False) -> Reading | None
nbest.read_yaml(text: str, *, schema: object = None, truncated: bool = False) -> Reading | None
nbest.run(queries: Iterable[Query], strategy: Strategy | BatchStrategy, backend: BackendConfig,
    *, seed: int = 0, panel: Panel | None = None) -> list[Record]
nbest.self_certainty(logprobs: NDArray[np.float32]) -> float
nbest.sum_logprob(samples: Sequence[Sample]) -> Scores
nbest.vote_shares(answers: Sequence[str | None]) -> Scores
nbest.watch(curves: Scores, seed: int = 0, reach: float = 1.0, *, most: Scores | None = None,
    clusters: Clusters | None = None) -> Watch
nbest.weighted_choices(answers: Sequence[str | None], weights: Scores, values: Scores, subsets:
    NDArray[np.int64]) -> Scores
nbest.wilson_interval(successes: int, n: int, confidence: float = 0.95) -> Interval
"""

ERRORS = """
BackendError(NbestError)
EngineDead(BackendError)
InputError(NbestError, ValueError)
NbestError(Exception)
NotBegun(EngineDead)
OutOfBudget(NbestError)
Overloaded(BackendError)
PartFailed(NbestError)
Quarantined(BackendError)
RequestRejected(BackendError)
RunChanged(StoreError)
RunLocked(StoreError)
StoreError(NbestError)
"""


def surface() -> str:
    """One entry a public name, in the form of the table."""
    names = sorted(nbest.__all__)
    entries = [f"nbest.{name}{shape(getattr(nbest, name))}" for name in names]
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


def test_the_facade_has_every_name_once_and_a_version() -> None:
    assert len(set(nbest.__all__)) == len(nbest.__all__)
    assert {*nbest.__all__, "__version__"} <= set(dir(nbest))
    assert re.fullmatch(r"\d+\.\d+\.\d+", nbest.__version__)


@pytest.mark.parametrize("name", nbest.__all__)
def test_a_public_name_comes_from_the_room_that_defines_it(name: str) -> None:
    home = getattr(getattr(nbest, name), "__module__", "")
    assert home.startswith(("nbest.", "numpy")) or not home


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'nbest' has no attribute 'Nothing'"):
        _ = nbest.Nothing  # type: ignore[attr-defined]


def test_every_noun_is_frozen_slotted_and_keyword_only() -> None:
    modules = [import_module(f"nbest.orchestrator.{m}") for m in ("types", "sampling_params")]
    values = {
        value for module in modules for value in vars(module).values() if inspect.isclass(value)
    }
    nouns = [noun for noun in values if dataclasses.is_dataclass(noun)]
    assert len(nouns) == 14
    for noun in nouns:
        kinds = {p.kind for p in inspect.signature(noun).parameters.values()}
        assert kinds == {inspect.Parameter.KEYWORD_ONLY}, noun
        assert "__slots__" in vars(noun), noun
        assert noun.__dataclass_params__.frozen, noun  # type: ignore[attr-defined]


def test_every_noun_and_protocol_is_public() -> None:
    """But for the store, which is no business of a user."""
    for home, hidden in (("types", set[str]()), ("protocols", {"SampleStore", "AsksTogether"})):
        module = import_module(f"nbest.orchestrator.{home}")
        classes = {name: v for name, v in vars(module).items() if inspect.isclass(v)}
        here = {name for name, v in classes.items() if v.__module__ == module.__name__}
        assert here - set(nbest.__all__) == hidden


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
from nbest import BestOfN, MajorityVote, VLLM, ask
strategy = BestOfN(n=16, select=MajorityVote())
backend = VLLM("smollm2-135m")
print(sorted({"vllm", "torch", "ray", "transformers", "pandas"} & set(sys.modules)))
print(callable(ask), strategy.n, backend.model)
"""


def test_the_example_of_the_readme_imports_no_engine() -> None:
    command = [sys.executable, "-W", "error", "-c", EXAMPLE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["[]", "True 16 smollm2-135m"]
