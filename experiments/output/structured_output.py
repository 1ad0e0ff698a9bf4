"""Structured output as a strategy: a type, and how hard to try for a value of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar, get_args

from nbest.experiments.config.output import WORDS_OF, Mode
from nbest.experiments.output.models import IsValue, ValueType
from nbest.orchestrator.protocols import Extractor, Sampler
from nbest.orchestrator.requirements import require
from nbest.orchestrator.run.local import as_chat
from nbest.orchestrator.sampling_params import Constraint, SamplingParams
from nbest.orchestrator.strategies.search.corrected import Corrected
from nbest.orchestrator.types import Message, Prompt, Query, Selection, Status
from nbest.scorers.baselines import First
from nbest.scorers.equivalence.plain import JsonEquivalence, canonical_json
from nbest.scorers.structured.by_field import VoteByField
from nbest.scorers.structured.extract import JsonValue, Repair, YamlValue
from nbest.scorers.structured.layered import PlainFirst
from nbest.scorers.structured.reading import Language, Reading, kinds_of, read_value
from nbest.scorers.structured.yaml_reading import typed_yaml
from nbest.scorers.votes.majority import MajorityVote

T = TypeVar("T")

ChooseBy = Literal["first", "vote", "by_field"]
Layer = Literal["plain", "extracted", "repaired", "corrected", "retried", "composed"]
LAYERS: tuple[Layer, ...] = get_args(Layer)


@dataclass(frozen=True, slots=True, kw_only=True)
class StructuredOutput:
    """Draw n answers that are values of a type, correct and retry those that are not, choose one.

    `schema` is a Pydantic model, any type that Pydantic knows, a JSON schema as text or mapping, or
    a file with one. `mode`: `prompt` puts the schema into the prompt, `constrained` lets the engine
    allow nothing else, `both` does the first and, for every second answer, the second. `choose`:
    the first valid answer, the most frequent value, or the most frequent value of each field.
    Broken JSON is mended where that loses nothing, or with `repair="none"` never. With
    `language="yaml"` the model writes YAML; the schema is the same, and the value too.

    Example: `StructuredOutput(schema=Person, n=8, corrections=1, retries=2, choose="vote")`
    """

    schema: Any
    language: Language = "json"
    mode: Mode = "prompt"
    repair: Repair = "lossless"
    corrections: int = 1
    retries: int = 2
    n: int = 1
    choose: ChooseBy = "vote"
    min_confidence: float = 0.0  # below this share of the answers that agree, it abstains
    params: SamplingParams = SamplingParams()
    words: str | None = None  # before the schema; None: a sentence that asks for the language
    type: ValueType = field(init=False, repr=False)

    def __post_init__(self) -> None:
        languages = "be json or yaml"
        require(self.language in ("json", "yaml"), "language", languages, self.language)
        require(self.mode in ("prompt", "constrained", "both"), "mode", _MODES, self.mode)
        is_free = self.language == "json" or self.mode == "prompt"
        require(is_free, "mode", "be prompt with yaml", self.mode)
        require(self.repair in ("lossless", "none"), "repair", "be lossless or none", self.repair)
        ways = ("first", "vote", "by_field")
        require(self.choose in ways, "choose", f"be one of {', '.join(ways)}", self.choose)
        object.__setattr__(self, "type", ValueType(self.schema))
        self.strategy()  # it checks the rest

    async def __call__(self, query: Query, sampler: Sampler) -> Selection:
        said = query.prompt if isinstance(query.prompt, str) else query.prompt[-1].content
        rule = "hold the schema: make it with `asked`, or use `nbest.ask`"
        has_schema = self.mode == "constrained" or self.type.schema in said
        require(has_schema, "prompt", rule, said[-60:])
        return await self.strategy()(query, sampler)

    def sampling(self) -> SamplingParams:
        """The parameters of a request."""
        return self.strategy().sampling()

    def strategy(self) -> Corrected:
        """The strategy that it stands for; the prompts of its questions are those of `asked`."""
        params = self.params
        language, schema = self.language, self.type.schema
        extract: Extractor = JsonValue(repair=self.repair, schema=schema)
        if language == "yaml":
            extract = YamlValue(schema=schema, repair=self.repair)
        vote = PlainFirst(by=MajorityVote(), language=language)
        by_field = VoteByField(language=language)
        if self.mode != "prompt":
            params = replace(params, constraint=Constraint(json=self.type.schema))
        return Corrected(
            n=self.n,
            rule=IsValue(self.type),
            corrections=self.corrections,
            retries=self.retries,
            min_confidence=self.min_confidence,
            compose=by_field if self.choose == "by_field" else None,
            half_free=self.mode == "both",
            select=First() if self.choose == "first" else vote,
            extract=extract,
            equivalence=JsonEquivalence(),
            params=params,
        )

    def asked(self, question: str | tuple[Message, ...]) -> Prompt:
        """The question as a chat, with the schema at the end of its last turn."""
        *before, last = as_chat(question)
        if self.mode == "constrained":
            return (*before, last)
        words = WORDS_OF[self.language] if self.words is None else self.words
        content = f"{last.content}\n\n{words}\n{self.type.schema}"
        return (*before, Message(role=last.role, content=content))

    def reading(self, text: str) -> Reading | None:
        """What is read in the text of a sample, whether or not it satisfies the schema."""
        schema = self.type.schema
        if self.language == "json":
            return read_value(text, kinds_of(schema))
        return typed_yaml(text, schema)


_MODES = "be prompt, constrained or both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output(Generic[T]):
    """A value that was asked for, and how it came about."""

    value: T | None  # None: no answer was valid, or they abstained
    layer: Layer | None  # how the chosen answer was read or made; None without one
    changes: tuple[str, ...]  # what was done to its text
    agreement: float  # share of the answers that say the same; nan without one
    fields: dict[str, float]  # by field: the share that agrees about each
    selection: Selection = field(repr=False)


def output_of(selection: Selection, output: StructuredOutput) -> Output[Any]:
    """The value of a selection, with the layer of its text."""
    if selection.answer is None:
        return Output(
            value=None,
            layer=None,
            changes=(),
            agreement=selection.confidence,
            fields={},
            selection=selection,
        )
    layer, changes = layer_of(selection, output)
    return Output(
        value=output.type.value(selection.answer),
        layer=layer,
        changes=changes,
        agreement=selection.confidence,
        fields=dict(selection.fields),
        selection=selection,
    )


def layer_of(selection: Selection, output: StructuredOutput) -> tuple[Layer, tuple[str, ...]]:
    """How the chosen answer came about: as it was read, or made by a correction or a retry."""
    if selection.index is None:
        return "composed", ("composed of the most frequent value of each field",)
    return min(_layers_of(selection, output), key=lambda one: LAYERS.index(one[0]))


def _layers_of(
    selection: Selection, output: StructuredOutput
) -> Iterator[tuple[Layer, tuple[str, ...]]]:
    """The layers of all samples that say the answer: that of the chosen one comes by chance."""
    said = canonical_json(selection.answer or "")
    for sample in selection.samples:
        reading = output.reading(sample.text) if sample.status is Status.OK else None
        if reading is not None and canonical_json(reading.text) == said:
            yield made_by(sample.id) or reading.layer, reading.changes


def made_by(sample_id: str) -> Literal["corrected", "retried"] | None:
    """Whether a sample is a correction or a retry, by the path in its id; None of a first one."""
    _, is_node, node = sample_id.rpartition("/t")
    if not is_node:
        return None
    path = node.partition("-")[0].split(".")
    return "corrected" if len(path) == 2 else "retried"
