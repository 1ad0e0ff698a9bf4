"""`nbest select`: choose again from stored samples, with any selector and without an engine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nbest.experiments.analysis.rows import (
    Case,
    Row,
    any_right_row,
    cases,
    one_sample_row,
    read_candidates,
    selector_row,
)
from nbest.experiments.config.plugins import (
    build_equivalence,
    build_extractor,
    build_grader,
    build_scorer,
)
from nbest.experiments.language.expressions import split_expressions
from nbest.experiments.runs.gold_file import read_gold
from nbest.experiments.runs.recorded_answers import read_recorded
from nbest.experiments.runs.sample_ids import index_of
from nbest.experiments.runs.stored_calls import StoredCalls
from nbest.experiments.runs.user_choice import chosen_by_user
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.store.format.manifest import Json
from nbest.orchestrator.store.reader import (
    read_manifest,
    read_queries,
    read_samples,
    read_scores,
    scorers_of,
)
from nbest.orchestrator.types import Sample, Scores, require_share
from nbest.orchestrator.waiting import wait_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Selectors side by side on one run."""

    rows: tuple[Row, ...]
    baselines: tuple[Row, ...]  # one sample alone, and any sample right


def compare(
    run: Path,
    selectors: str,
    extract: str | None = None,
    grade: str | None = None,
    equivalence: str | None = None,
    min_confidence: float = 0.0,
) -> Comparison:
    """Apply selectors to the samples of a run; what is not given is as the run's config has it."""
    names = split_expressions(selectors)
    scorers = {name: named_scorer(name, run) for name in names}
    graded = load_cases(run, extract, grade, equivalence)
    require_share("min_confidence", min_confidence)
    rows = wait_for(_rows_of(graded, scorers, min_confidence))
    return Comparison(rows=rows, baselines=(one_sample_row(graded), any_right_row(graded)))


def named_scorer(name: str, run: Path) -> Scorer:
    """The scorer of a name; `user` stands for what a person chose in this run."""
    return chosen_by_user(run) if name == "user" else build_scorer(name)


def load_cases(
    run: Path, extract: str | None = None, grade: str | None = None, equivalence: str | None = None
) -> list[Case]:
    """The stored samples of a run with their answers read and graded."""
    config = read_manifest(run).config
    extractor = build_extractor(extract or _setting(config, "extract"))
    grader = build_grader(grade or _setting(config, "grade"))
    same = build_equivalence(equivalence or str(config.get("equivalence", "exact")))
    queries, samples = read_queries(run), dict(read_samples(run))
    # Whoever names an extractor wants the texts read by it.
    recorded = {} if extract else read_recorded(run)
    read = wait_for(read_candidates(queries, samples, extractor, same, recorded))
    calls = {key: found[0] for key, found in samples.items() if key not in read}
    scored = {name: read_scores(run, name) for name in scorers_of(run)}
    candidates = {}
    for key, each in read.items():
        stored = StoredCalls(query_id=key, find=calls.get)
        kept = {name: scores_of(each.samples, found.get(key, {})) for name, found in scored.items()}
        candidates[key] = replace(each, ask=stored, rate=stored.rate, scores=kept)
    found = cases(queries, candidates, read_gold(run), grader)
    if not found:
        raise InputError(f"run must hold samples to select from, {str(run)!r} has none yet")
    return found


def scores_of(samples: Sequence[Sample], scores: Mapping[int, float]) -> Scores:
    """[N] by the indices of the samples; nan where there is none."""
    places = [index_of(sample) for sample in samples]
    return np.array([scores.get(place, math.nan) for place in places], np.float64)


async def _rows_of(
    graded: Sequence[Case], scorers: dict[str, Scorer], min_confidence: float
) -> tuple[Row, ...]:
    rows = [await selector_row(name, s, graded, min_confidence) for name, s in scorers.items()]
    return tuple(rows)


def _setting(config: Mapping[str, Json], key: str) -> str:
    value = config.get(key)
    if not isinstance(value, str):
        raise InputError(f"{key} must be given with --{key}: the run's config has none")
    return value
