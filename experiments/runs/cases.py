"""Cases: the queries of a run with their samples, the answers read in them, and their verdicts."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nbest.experiments.config.plugins import (
    build_equivalence,
    build_extractor,
    build_grader,
    build_scorer,
)
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.graders.plain import Grader
from nbest.experiments.questions.reading import Reading
from nbest.experiments.runs.gold_file import read_gold
from nbest.experiments.runs.recorded_answers import Recorded, read_recorded, with_recorded
from nbest.experiments.runs.stored_calls import StoredCalls
from nbest.experiments.runs.user_choice import chosen_by_user
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.protocols import Equivalence, Extractor, Scorer
from nbest.orchestrator.query.selection import merge_answers, read_answers
from nbest.orchestrator.store.format.manifest import Json
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Candidates, Query, Sample, Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One query with its samples, their answers and the verdict on each."""

    query: Query
    candidates: Candidates  # [N]
    verdicts: Mapping[str, float]  # by answer: 1 right, 0 wrong, nan ungraded
    is_graded: bool  # whether there is a gold answer that the grader can compare with

    @property
    def shares(self) -> list[float]:
        """1 for every sample that is right, 0 for wrong ones and abstentions; ungraded left out."""
        verdicts = [0.0 if a is None else self.verdicts[a] for a in self.candidates.answers]
        return [v for v in verdicts if not math.isnan(v)]


def cases(
    queries: Iterable[Query],
    candidates: Mapping[str, Candidates],
    gold: Mapping[str, Gold],
    grade: Grader,
) -> list[Case]:
    """The queries that have samples, with every distinct answer graded once."""
    return [
        _case(query, candidates[query.id], gold.get(query.id), grade)
        for query in queries
        if query.id in candidates
    ]


async def read_candidates(
    queries: Iterable[Query],
    samples: Mapping[str, Sequence[Sample]],
    extract: Extractor,
    equivalence: Equivalence | None = None,
    recorded: Recorded = MappingProxyType({}),
) -> dict[str, Candidates]:
    """The stored samples by query id, with their answers read, or recorded, and merged."""
    candidates = {}
    for query in queries:
        if query.id in samples:
            read = read_answers(samples[query.id], extract)
            replaced = with_recorded(read, recorded.get(query.id, {}))
            candidates[query.id] = await merge_answers(query, replaced, equivalence)
    return candidates


def _case(query: Query, candidates: Candidates, gold: Gold | None, grade: Grader) -> Case:
    answers = {a for a in candidates.answers if a is not None}
    verdicts = {a: math.nan if gold is None else grade(a, gold) for a in sorted(answers)}
    can_tell = any(not math.isnan(v) for v in verdicts.values())
    if gold is not None and not can_tell:  # no sample has an answer: grade the gold answer itself
        can_tell = not math.isnan(grade(gold.answer, gold))
    return Case(query=query, candidates=candidates, verdicts=verdicts, is_graded=can_tell)


def named_scorer(name: str, run: Path) -> Scorer:
    """Build the scorer of a name; `user` stands for what a person chose in this run."""
    return chosen_by_user(RunReader(run)) if name == "user" else build_scorer(name)


def reading_of(
    run: RunReader,
    extract: str | None = None,
    grade: str | None = None,
    equivalence: str | None = None,
) -> Reading:
    """Build what reads the answers of a run; None stands for the setting in the run's config."""
    config = run.manifest.config
    return Reading(
        extract=build_extractor(extract or _setting(config, "extract")),
        grade=build_grader(grade or _setting(config, "grade")),
        equivalence=build_equivalence(equivalence or str(config.get("equivalence", "exact"))),
        rereads=extract is not None,  # an extractor that is named reads the texts anew
    )


def load_cases(
    run: Path, extract: str | None = None, grade: str | None = None, equivalence: str | None = None
) -> list[Case]:
    """Load the samples of a run, log-probabilities included, with their answers read and graded.

    None stands for the setting in the run's config.
    """
    reader = RunReader(run)
    return cases_of(reader, reading_of(reader, extract, grade, equivalence))


def cases_of(
    run: RunReader, reading: Reading, scorers: Collection[Scorer] | None = None
) -> list[Case]:
    """The cases of an open run; with `scorers`, only the columns that these read."""
    samples = dict(run.samples(_columns_for(scorers)))
    recorded = {} if reading.rereads else read_recorded(run.path)
    read = wait_for(
        read_candidates(run.queries, samples, reading.extract, reading.equivalence, recorded)
    )
    calls = {key: drawn[0] for key, drawn in samples.items() if key not in read}
    stored = {name: run.scores(name) for name in run.scorers}
    candidates = {}
    for key, bare in read.items():
        stored_calls = StoredCalls(query_id=key, find=calls.get)
        scores = {name: scores_of(bare.samples, s.get(key, {})) for name, s in stored.items()}
        candidates[key] = replace(bare, ask=stored_calls, rate=stored_calls.rate, scores=scores)
    graded = cases(run.queries, candidates, read_gold(run.path), reading.grade)
    if not graded:
        raise InputError(f"run must hold samples to select from, {str(run.path)!r} has none yet")
    return graded


def _columns_for(scorers: Collection[Scorer] | None) -> set[str]:
    """The fields of a sample that these scorers read; None stands for any scorer."""
    names = {field.name for field in fields(Sample)} - {"token_ids"}
    reads_logprobs = scorers is None or any(s.needs_logprobs is not None for s in scorers)
    return names if reads_logprobs else names - {"logprobs", "top_logprobs"}


def scores_of(samples: Sequence[Sample], scores: Mapping[int, float]) -> Scores:
    """[N] The score of each sample, by its index; nan where there is none."""
    places = [index_of(sample.id) for sample in samples]
    return np.array([scores.get(place, math.nan) for place in places], np.float64)


def _setting(config: Mapping[str, Json], key: str) -> str:
    value = config.get(key)
    if not isinstance(value, str):
        raise InputError(f"{key} must be given with --{key}: the run's config has none")
    return value
