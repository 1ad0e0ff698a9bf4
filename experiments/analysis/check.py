"""Structured output by layer: how many stored samples are values of a schema, and why not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nbest.experiments.config.strategy import tree_named
from nbest.experiments.output.structured_output import made_by
from nbest.experiments.runs.chains import tree_of
from nbest.experiments.runs.gold_file import read_gold
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.strategies.search.corrected import Corrected
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Sample, Status
from nbest.scorers.equivalence.plain import canonical_json
from nbest.scorers.sandboxes.processes import read_texts
from nbest.scorers.structured.extract import JsonValue, Repair, YamlValue
from nbest.scorers.structured.fields import FieldCounts, field_counts
from nbest.scorers.structured.reading import LAYERS, Language
from nbest.scorers.structured.verdicts import Verdict, verdict_on
from nbest.scorers.validators.rules import JsonValid
from nbest.scorers.validators.sql import SqlValid
from nbest.scorers.validators.yaml import YamlValid

Made = Literal["first", "corrected", "retried"]
MADE: tuple[Made, ...] = ("first", "corrected", "retried")

CHECK_S = 20.0  # for one text


@dataclass(slots=True, kw_only=True)
class Counts:
    """Samples that came about in one way."""

    samples: int = 0
    layers: Counter[str] = field(default_factory=Counter)
    invalid: int = 0
    truncated: int = 0
    failed: int = 0
    graded: int = 0  # valid ones of questions with a gold answer
    right: int = 0  # of these, those whose value is the gold one
    right_by_layer: Counter[str] = field(default_factory=Counter)
    tokens: int = 0

    @property
    def valid(self) -> int:
        return sum(self.layers.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The samples of a run, by how they came about; and what was wrong most often."""

    counts: Mapping[Made, Counts]
    reasons: tuple[tuple[str, int], ...]
    has_gold: bool
    language: Language
    schema: str | None  # compact JSON text; None: any value is valid
    fields: FieldCounts  # of the first samples that are valid, against gold answers

    @property
    def total(self) -> Counts:
        """All samples together."""
        total = Counts()
        for some in self.counts.values():
            total.samples += some.samples
            total.layers += some.layers
            total.right_by_layer += some.right_by_layer
            for name in ("invalid", "truncated", "failed", "graded", "right", "tokens"):
                setattr(total, name, getattr(total, name) + getattr(some, name))
        return total


def check(run: StrPath, schema: str | None = None, language: Language | None = None) -> Checked:
    """Read every sample of a run; no engine is started.

    `schema` is JSON text. Without one it is the schema that the run's own answers had to satisfy,
    if there is one, in the run's own language; any value does otherwise.
    """
    reader = RunReader(run)
    own = _asked_for(reader)
    chosen = language or own.language
    is_own = schema is None and chosen == own.language
    wanted = Asked(language=chosen, schema=own.schema if is_own else schema, repair=own.repair)
    return wait_for(_check(reader, run, wanted))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What answers have to be, and how they may be read."""

    language: Language = "json"
    schema: str | None = None
    repair: Repair = "lossless"


def _asked_for(reader: RunReader) -> Asked:
    """What a run asked for; InputError where its answers are neither JSON nor YAML."""
    tree = tree_of(reader)
    rule = tree.rule if isinstance(tree, Corrected) else None
    if isinstance(rule, SqlValid):
        rule_of = "hold answers in JSON or YAML, and these are SQL queries"
        raise InputError(f"run must {rule_of}: nbest show counts them, got {reader.shown_path!r}")
    extract = tree.extract if isinstance(tree, Corrected) else None
    repair = extract.repair if isinstance(extract, JsonValue | YamlValue) else "lossless"
    if isinstance(rule, JsonValid | YamlValid):
        language: Language = "json" if isinstance(rule, JsonValid) else "yaml"
        return Asked(language=language, schema=rule.schema, repair=repair)
    sampling = reader.manifest.config.get("sampling")
    constraint = sampling.get("constraint") if isinstance(sampling, dict) else None
    schema = constraint.get("json") if isinstance(constraint, dict) else None
    return Asked(schema=schema if isinstance(schema, str) else None, repair=repair)


async def _check(reader: RunReader, run: StrPath, asked: Asked) -> Checked:
    gold = {key: one.answer for key, one in read_gold(run).items() if canonical_json(one.answer)}
    base = set(reader.query_ids)
    is_corrected = tree_named(reader.manifest.config.get("strategy")) == "corrected"
    counts: dict[Made, Counts] = {made: Counts() for made in MADE}
    reasons: Counter[str] = Counter()
    fields = FieldCounts()
    settings = (asked.schema, asked.language, asked.repair)
    for key, samples in reader.samples(columns=["text", "status", "generated_tokens", "id"]):
        query_id = key if key in base else key.rpartition("/t")[0]
        if query_id not in base or (key not in base and not is_corrected):
            continue  # what a judge was asked; a step of a search
        made: Made = "first" if key in base else made_by(f"{key}/s0") or "first"
        texts = [sample.text for sample in samples if sample.status is Status.OK]
        verdicts = await read_texts(CHECK_S, verdict_on, texts, *settings)
        for sample in samples:
            verdict = verdicts.get(sample.text) if sample.status is Status.OK else None
            _count(counts[made], sample, verdict, gold.get(query_id))
            if verdict is not None:
                reasons.update(verdict["reasons"][:1])
            if made == "first" and verdict is not None and verdict["layer"] and query_id in gold:
                fields += field_counts(verdict["value"], gold[query_id])
    most = tuple(sorted(reasons.items(), key=lambda one: (-one[1], one[0]))[:5])
    return Checked(
        counts=counts,
        reasons=most,
        has_gold=bool(gold),
        language=asked.language,
        schema=asked.schema,
        fields=fields,
    )


def _count(counts: Counts, sample: Sample, verdict: Verdict | None, gold: str | None) -> None:
    """Count one sample."""
    counts.samples += 1
    counts.tokens += sample.generated_tokens
    if sample.status is Status.TRUNCATED:
        counts.truncated += 1
    elif sample.status is not Status.OK:
        counts.failed += 1
    elif verdict is None or not verdict["layer"]:
        counts.invalid += 1
    else:
        counts.layers[verdict["layer"]] += 1
        counts.graded += gold is not None
        if gold is not None and canonical_json(verdict["value"]) == canonical_json(gold):
            counts.right += 1
            counts.right_by_layer[verdict["layer"]] += 1


def as_document(checked: Checked) -> dict[str, object]:
    """The counts for `--json`."""
    total = checked.total
    return {
        "language": checked.language,
        "schema": None if checked.schema is None else json.loads(checked.schema),
        **_counts_document(total, checked.has_gold),
        "made": {
            made: _counts_document(some, checked.has_gold) for made, some in checked.counts.items()
        },
        "reasons": [{"reason": reason, "samples": count} for reason, count in checked.reasons],
        "fields": checked.fields.as_document() if checked.has_gold else None,
    }


def _counts_document(counts: Counts, has_gold: bool) -> dict[str, object]:
    return {
        "samples": counts.samples,
        "layers": {layer: counts.layers[layer] for layer in LAYERS},
        "invalid": counts.invalid,
        "truncated": counts.truncated,
        "failed": counts.failed,
        "graded": counts.graded if has_gold else None,
        "right": counts.right if has_gold else None,
        "right_by_layer": {layer: counts.right_by_layer[layer] for layer in LAYERS}
        if has_gold
        else None,
        "tokens": counts.tokens,
    }
