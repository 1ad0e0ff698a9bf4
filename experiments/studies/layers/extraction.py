"""Records extracted from sentences by a model: how many are valid after each layer, and right."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nbest.experiments.config.output import WORDS
from nbest.experiments.output.models import IsValue, ValueType
from nbest.experiments.output.structured_output import made_by
from nbest.orchestrator.engines.local_engine import LocalEngine
from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.protocols import BackendConfig, Strategy
from nbest.orchestrator.query.selection import WholeText
from nbest.orchestrator.run.local import running_pool
from nbest.orchestrator.run.loop import Answered, Loop, one_lease
from nbest.orchestrator.sampling_params import Constraint, SamplingParams
from nbest.orchestrator.store.run_store import MemoryStore
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.strategies.race import RaceToValid
from nbest.orchestrator.strategies.search.corrected import Corrected
from nbest.orchestrator.types import Message, Query, Sample, Status
from nbest.scorers.baselines import First
from nbest.scorers.equivalence.plain import JsonEquivalence, canonical_json
from nbest.scorers.structured.extract import JsonValue
from nbest.scorers.structured.layered import PlainFirst
from nbest.scorers.structured.verdicts import verdict_on
from nbest.scorers.votes.majority import MajorityVote

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "city": {"type": "string"},
    },
    "required": ["name", "age", "city"],
}
_PEOPLE = ("Ann", "Bob", "Cleo", "Dan", "Eva", "Finn", "Gita", "Hugo", "Ida", "Jon")
_CITIES = ("Oslo", "Rome", "Bonn", "Kyoto", "Lima", "Quito", "Riga", "Turin", "Minsk", "Delhi")
_SENTENCES = (
    "{name} is {age} years old and lives in {city}.",
    "At {age}, {name} moved to {city}.",
    "In {city} we met {name}, who is {age}.",
)
ASK = "Write the name, the age and the city as JSON."
PARAMS = SamplingParams(temperature=0.7, max_tokens=80)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A way to ask, and a way to draw."""

    name: str
    words: str  # after the sentence
    strategy: Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a setting is worth: shares of all samples, or of all questions where one is chosen."""

    name: str
    layers: Mapping[str, float]  # share that is valid by this layer
    right: float  # of all
    right_among_valid: float
    wrong_repaired: tuple[int, int]  # of the repaired ones: wrong, all
    tokens: float  # for each valid answer, whatever was spent
    seconds: tuple[float, float]  # until a question's answer: the median, the 95th percentile


def questions_of(count: int, seed: int, words: str) -> list[Query]:
    """Make sentences about people, each with its record as meta."""
    chance = random.Random(seed)
    queries = []
    for i in range(count):
        record = {
            "name": chance.choice(_PEOPLE),
            "age": chance.randint(18, 80),
            "city": chance.choice(_CITIES),
        }
        sentence = chance.choice(_SENTENCES).format(**record)
        turn = Message(role="user", content=f"{sentence}\n\n{words}")
        queries.append(Query(id=f"q{i}", prompt=(turn,), meta={"gold": json.dumps(record)}))
    return queries


def settings_of(n: int) -> list[Setting]:
    """The settings that are compared, each with n samples a question."""
    schema = json.dumps(SCHEMA, separators=(",", ":"))
    keys = f"{WORDS}\n{schema}"
    example = f'{ASK} As in: {{"name": "Zoe", "age": 51, "city": "Cairo"}}'
    masked = replace(PARAMS, constraint=Constraint(json=schema))
    free = BestOfN(n=n, select=First(), extract=WholeText(), params=PARAMS)
    constrained = replace(free, params=masked)
    return [
        Setting(name="bare", words=ASK, strategy=free),
        Setting(name="schema", words=keys, strategy=free),
        Setting(name="example", words=example, strategy=free),
        Setting(name="bare, constrained", words=ASK, strategy=constrained),
        Setting(name="schema, constrained", words=keys, strategy=constrained),
        *(Setting(name=name, words=ASK, strategy=s) for name, s in chosen_by(n).items()),
    ]


def chosen_by(n: int) -> dict[str, Strategy]:
    """The strategies that give one answer a question, asked without a schema."""
    rule = IsValue(ValueType(SCHEMA))
    one = Corrected(
        n=1,
        corrections=1,
        retries=0,
        rule=rule,
        select=PlainFirst(by=MajorityVote()),
        extract=JsonValue(),
        equivalence=JsonEquivalence(),
        params=PARAMS,
    )
    return {
        "one, corrected": one,
        "one, retried": replace(one, corrections=0, retries=n - 1),
        "raced": RaceToValid(n=n, rule=rule, extract=JsonValue(), params=PARAMS),
        "voted": replace(one, n=n, corrections=0),
    }


async def extracted(backend: BackendConfig, count: int, n: int, seed: int) -> list[Line]:
    """Ask every question in every setting."""
    async with running_pool(LocalEngine(backend, "engine0"), backend) as pool:
        lines = []
        for setting in settings_of(n):
            lines.append(await _line(setting, pool, questions_of(count, seed, setting.words), seed))
            print(sentence(lines[-1]), flush=True)
        return lines


async def _line(setting: Setting, pool: Pool, queries: Sequence[Query], seed: int) -> Line:
    answered: dict[str, Answered] = {}
    strategy, store = setting.strategy, MemoryStore()
    loop = Loop(strategy=strategy, pool=pool, store=store, run="layers", seed=seed)
    await loop.answer_leases(
        one_lease(queries), lambda one: answered.update({one.record.query_id: one})
    )
    verdicts = [
        (layer, value == canonical_json(str(query.meta["gold"])))
        for query in queries
        for layer, value in _values(answered[query.id], is_chosen=not isinstance(strategy, BestOfN))
    ]
    valid = [is_right for layer, is_right in verdicts if layer]
    repaired = [is_right for layer, is_right in verdicts if layer == "repaired"]
    bills = [one.record.usage.generated_tokens for one in answered.values()]
    layers = ("plain", "extracted", "repaired", "corrected", "retried")
    return Line(
        name=setting.name,
        layers={name: _share([layer == name for layer, _ in verdicts]) for name in layers},
        right=sum(valid) / len(verdicts),
        right_among_valid=_share(valid),
        wrong_repaired=(repaired.count(False), len(repaired)),
        tokens=sum(bills) / max(1, len(valid)),
        seconds=_latency([one.record.seconds for one in answered.values()]),
    )


def _values(one: Answered, is_chosen: bool) -> list[tuple[str, str | None]]:
    """The layer and the value of each sample, or of the chosen one; no layer: it is not valid."""
    selection = one.selection
    assert selection is not None
    if not is_chosen:
        return [_read(sample) for sample in selection.samples]
    if selection.index is None:
        return [("", None)]
    sample = selection.samples[selection.index]
    layer, value = _read(sample)
    return [(made_by(sample.id) or layer, value)]


def _read(sample: Sample) -> tuple[str, str | None]:
    if sample.status is not Status.OK:
        return "", None
    verdict = verdict_on(sample.text, json.dumps(SCHEMA), "json")
    return verdict["layer"], canonical_json(verdict["value"])


def _share(flags: Sequence[float]) -> float:
    return sum(flags) / len(flags) if flags else float("nan")


def _latency(seconds: Sequence[float]) -> tuple[float, float]:
    median, late = np.percentile(seconds, (50, 95))
    return float(median), float(late)


def sentence(line: Line) -> str:
    """A line of the table."""
    layers = " ".join(f"{share:9.3f}" for share in line.layers.values())
    wrong, repaired = line.wrong_repaired
    median, late = line.seconds
    return (
        f"{line.name:20} {layers} {line.right:6.3f} {line.right_among_valid:6.3f} "
        f"{f'{wrong} of {repaired}':>9} {line.tokens:7.1f} {median:6.1f} {late:6.1f}"
    )


TITLES = (
    f"{'setting':20} {'plain':>9} {'extracted':>9} {'repaired':>9} {'corrected':>9} {'retried':>9} "
    f"{'right':>6} {'valid':>6} {'wrong rep':>9} {'tokens':>7} {'p50 s':>6} {'p95 s':>6}"
)
