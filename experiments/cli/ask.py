"""`nbest ask`: one question, N samples, one answer, in this process."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from pydantic import ValidationError

from nbest.experiments.config.endpoints import chosen_model
from nbest.experiments.config.model_names import with_models
from nbest.experiments.config.objects import Objects
from nbest.experiments.config.plugins import (
    build_equivalence,
    build_extractor,
    build_scorer,
)
from nbest.experiments.config.strategy import Sampling, StrategySection
from nbest.experiments.language.errors import describe
from nbest.experiments.language.text import safe_lines
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.requirements import require
from nbest.orchestrator.run.local import ask
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question and how to answer it."""

    text: str
    n: int
    select: str
    extract: str
    equivalence: str
    model: str | None  # None: the small model, or the one that the server at base_url serves
    temperature: float
    max_tokens: int
    seed: int
    rule: str | None  # says when there are enough samples
    race: str | None  # the validator that the first sample must pass
    min_confidence: str  # a share, maybe with the number of samples, as 0.7@16
    backend: str
    base_url: str | None = None  # of a server that runs already
    api_key_env: str | None = None


def answer(question: Question) -> Selection:
    """Start the engine, draw samples, and choose one."""
    require(bool(question.text.strip()), "question", "hold a text", question.text)
    strategy = _strategy(question)
    asked = (question.backend, question.model, question.base_url, question.api_key_env)
    return ask(question.text, strategy, chosen_model(*asked), seed=question.seed)


def _strategy(question: Question) -> Sampling:
    section = {
        "n": question.n,
        "rule": question.rule,
        "race": question.race,
        "min_confidence": question.min_confidence,
    }
    objects = Objects()
    try:
        strategy = StrategySection.model_validate(section, context=objects)
    except ValidationError as error:
        _, what = describe(error.errors(include_url=False)[0], section)
        raise InputError(what) from error
    params = SamplingParams(temperature=question.temperature, max_tokens=question.max_tokens)
    select = with_models(build_scorer(question.select, trusted=True), {})
    extract = build_extractor(question.extract, trusted=True)
    equivalence = build_equivalence(question.equivalence, trusted=True)
    choice = Choice(select=select, extract=extract, equivalence=equivalence, params=params)
    return strategy.build(choice, objects)


def as_text(selection: Selection) -> str:
    """The chosen sample in full, then the answer and how many of the others agree."""
    if selection.index is None:
        agree = selection.confidence
        unsure = "" if math.isnan(agree) else f"at most {agree:.0%} of the answers agree; "
        return f"no answer: {unsure}{statuses(selection)}"
    text = safe_lines(selection.samples[selection.index].text.strip())
    chosen = safe_lines(selection.answer or "")
    share = f"{selection.confidence:.0%} of the answers agree"
    return f"{text}\n\nanswer: {chosen}   ({share}; {statuses(selection)})"


def as_document(selection: Selection) -> dict[str, object]:
    """What `--json` prints."""
    return {
        "answer": selection.answer,
        "index": selection.index,
        "confidence": _or_none(selection.confidence),
        "samples": [
            {
                "text": sample.text,
                "status": sample.status,
                "score": _or_none(float(score)),
                "tokens": sample.generated_tokens,
            }
            for sample, score in zip(selection.samples, selection.scores, strict=True)
        ],
    }


def statuses(selection: Selection) -> str:
    """How many samples have which status, in words."""
    counts = Counter(sample.status for sample in selection.samples)
    return ", ".join(f"{count} {status}" for status, count in counts.most_common())


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
