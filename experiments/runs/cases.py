"""Cases: the queries of a run with their samples, the answers read in them, and their verdicts."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
from pydantic import ValidationError

from nbest.experiments.config.model_names import Unbound, unbound_names, with_models
from nbest.experiments.config.plugins import (
    build_equivalence,
    build_extractor,
    build_grader,
    build_scorer,
)
from nbest.experiments.config.sections import ModelSection
from nbest.experiments.language.errors import describe
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.graders.by_part import QueryGrader
from nbest.experiments.questions.graders.model_verdicts import ModelVerdicts
from nbest.experiments.questions.graders.plain import Grader
from nbest.experiments.questions.reading import Reading, with_memory
from nbest.experiments.runs.chains import drawn_samples, tree_of
from nbest.experiments.runs.gold_file import read_gold
from nbest.experiments.runs.recorded_answers import read_recorded, with_recorded
from nbest.experiments.runs.scope import Scope
from nbest.experiments.runs.stored_calls import StoredCalls
from nbest.experiments.runs.user_choice import chosen_by_user
from nbest.experiments.runs.verdicts_file import with_verdicts
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.protocols import BackendConfig, Scorer
from nbest.orchestrator.query.selection import merge_answers, read_answers, with_calls
from nbest.orchestrator.store.format.manifest import Json
from nbest.orchestrator.store.format.schema import FINAL
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.strategies.search.grown import TreeStrategy
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Candidates, Query, Sample, Scores

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One query with its samples, their answers and the verdict on each."""

    query: Query
    candidates: Candidates  # [N]
    verdicts: Mapping[str, float]  # by answer: 1 right, 0 wrong, nan ungraded
    is_graded: bool  # whether there is a gold answer that the grader can compare with
    cluster: str | None = None  # the template that the question comes from, if the data say so
    graded_by: str = ""  # the name of a model's verdicts, where these grade and no gold answer
    tree_tokens: int | None = None  # of all samples, where they are chains that share steps
    steps: tuple[tuple[str, ...], ...] = ()  # [N] what the steps of each chain say

    @property
    def arms(self) -> tuple[str, ...]:
        """[N] the arm that drew each sample; empty texts where there is no panel."""
        return tuple(sample.arm for sample in self.candidates.samples)

    @property
    def tokens(self) -> int:
        """The tokens that were generated for all samples."""
        if self.tree_tokens is not None:
            return self.tree_tokens
        return sum([sample.generated_tokens for sample in self.candidates.samples])

    @property
    def worths(self) -> list[float]:
        """1 for every sample that is right, 0 for wrong ones and abstentions, nan if ungraded.

        Samples that failed or were aborted are left out: nobody knows what they would have said.
        """
        pairs = zip(self.candidates.samples, self.candidates.answers, strict=True)
        ended = [a for sample, a in pairs if sample.status in FINAL]
        return [0.0 if a is None else self.verdicts[a] for a in ended]


async def graded_case(
    query: Query, candidates: Candidates, gold: Gold | None, grade: Grader | QueryGrader
) -> Case:
    """The case of one query, each distinct answer graded once.

    It is graded where the grader can say something of an answer. Where it fails at all of them, it
    is if the grader takes the gold answer for one that it knows: a question that is too hard for
    it counts, and one whose gold answer it cannot read does not. A question none of whose samples
    ended is not graded: nobody knows what they would have said.
    """
    answers = sorted({a for a in candidates.answers if a is not None})
    verdicts = dict(zip(answers, await _graded(query, answers, gold, grade), strict=True))
    has_ended = any(sample.status in FINAL for sample in candidates.samples)
    can_tell = not all(map(math.isnan, verdicts.values()))
    if has_ended and not can_tell:
        can_tell = await _can_grade(query, gold, grade)
    return Case(
        query=query,
        candidates=candidates,
        verdicts=verdicts,
        is_graded=has_ended and can_tell,
    )


async def _graded(
    query: Query, answers: Sequence[str], gold: Gold | None, grade: Grader | QueryGrader
) -> Sequence[float]:
    """The verdict on each answer; nan without a gold answer, where one is needed."""
    if isinstance(grade, QueryGrader):
        return await grade.grade_each(query, answers, gold)
    return [math.nan if gold is None else grade(answer, gold) for answer in answers]


async def _can_grade(query: Query, gold: Gold | None, grade: Grader | QueryGrader) -> bool:
    """Whether the grader can tell right from wrong at this question: at the gold answer, it can."""
    if isinstance(grade, QueryGrader):
        return await grade.can_grade(query, gold)
    return gold is not None and not math.isnan(grade(gold.answer, gold))


def named_scorer(name: str, run: StrPath) -> Scorer:
    """Build the scorer of a name; `user` stands for what a person chose in this run."""
    if name == "user":
        return chosen_by_user(RunReader(run))
    return with_models_of(build_scorer(name), run)


def with_models_of(part: T, run: StrPath) -> T:
    """The same scorer or strategy with the models that its names mean in a run's config.

    Nothing is started. InputError where the run has no such model, or it cannot be used here.
    """
    if not (names := unbound_names(part)):
        return part
    models = RunReader(run).manifest.config.get("models")
    sections = models if isinstance(models, dict) else {}
    known = {name: section for name, section in sections.items() if name in names}
    others = {name: Unbound(name=name) for name in sections.keys() - names}  # for the nearest name
    return with_models(part, others | {name: _model(name, known[name]) for name in known})


def _model(name: str, section: object) -> BackendConfig:
    try:
        return ModelSection.model_validate(section).build()
    except ValidationError as error:
        _, what = describe(error.errors(include_url=False)[0], {})
        raise InputError(f"models.{name} of the run cannot be used here: {what}") from error


def selectors_of(run: RunReader) -> tuple[str, ...]:
    """The selectors of a run's config; a vote where it has none, as an imported run."""
    select = run.manifest.config.get("select")
    return tuple(map(str, select)) if isinstance(select, list) and select else ("vote",)


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
    run: StrPath,
    extract: str | None = None,
    grade: str | None = None,
    equivalence: str | None = None,
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

    async def all_cases() -> list[Case]:
        return [case async for case in each_case(run, reading, scorers)]

    return wait_for(all_cases())


def in_turn(items: AsyncIterator[T]) -> Iterator[T]:
    """Go through cases, or what is made of them, where no event loop runs; one is in memory."""
    with asyncio.Runner() as runner:
        while (item := runner.run(_next_of(items))) is not None:
            yield item


async def _next_of(items: AsyncIterator[T]) -> T | None:
    return await anext(items, None)


async def each_case(
    run: RunReader,
    reading: Reading,
    scorers: Collection[Scorer] | None = None,
    scope: Scope | None = None,
    gold: Mapping[str, Gold] | None = None,
    tree: TreeStrategy | None = None,
) -> AsyncIterator[Case]:
    """Yield the cases of an open run, in the order of its queries; only one is in memory.

    With `scorers`, only the columns that these read are read; with a `scope`, only its cases; with
    a `tree`, that strategy grows the trees, and not the one by which the run was drawn.
    Without `gold`, the answers that the run holds are read. InputError where there is no case.
    """
    reading = with_memory(with_verdicts(reading, run.path))
    judged_by = reading.grade.by if isinstance(reading.grade, ModelVerdicts) else ""
    grows = tree or with_models_of(tree_of(run), run.path)
    stored = run.stored_samples(_columns_for(scorers) if grows is None else None)
    ended = run.ended() if grows and not tree else set()
    recorded = {} if reading.rereads else read_recorded(run.path)
    scores = {name: run.scores(name) for name in run.scorers}
    gold = read_gold(run.path) if gold is None else gold
    column = cluster_column(run)
    is_empty, is_imported = True, bool(run.manifest.config.get("imported"))

    def reply_to(key: str) -> Sample | None:
        return next(iter(stored.of(key)), None)

    for query in run.each_query():
        if scope is not None and not scope.keeps(query.id):
            continue
        drawn = await drawn_samples(query, stored, grows, has_ended=query.id in ended)
        samples = scope.first(drawn.samples) if scope and not grows else drawn.samples
        if samples:
            is_empty = False
            of_query = {name: by_query.get(query.id, {}) for name, by_query in scores.items()}
            calls = StoredCalls(query_id=query.id, find=reply_to, is_imported=is_imported)
            bare = await _read(query, samples, reading, recorded.get(query.id, {}))
            of_query |= drawn.scores
            numbers = {name: scores_of(samples, found) for name, found in of_query.items()}
            candidates = with_calls(replace(bare, scores=numbers), calls)
            case = await graded_case(query, candidates, gold.get(query.id), reading.grade)
            cluster = None if column is None else _cluster_of(query, column)
            of_run = replace(case, cluster=cluster, graded_by=judged_by)
            yield replace(of_run, tree_tokens=drawn.tokens, steps=drawn.steps)
    if is_empty and tree is None:
        raise InputError(f"run must hold samples to select from, {run.shown_path!r} has none yet")


def cluster_column(run: RunReader) -> str | None:
    """The column of the data set that names the templates of its questions, where there is one."""
    dataset = run.manifest.config.get("dataset")
    column = dataset.get("cluster") if isinstance(dataset, dict) else None
    return column if isinstance(column, str) else None


def _cluster_of(query: Query, column: str) -> str:
    """The template of a question; one of its own where the column is empty."""
    value = query.meta.get(column)
    return f"query {query.id}" if value is None else str(value)


async def _read(
    query: Query, samples: Sequence[Sample], reading: Reading, recorded: Mapping[int, str]
) -> Candidates:
    """The samples with their answers read, or recorded, and merged."""
    read = with_recorded(read_answers(samples, reading.extract), recorded)
    return await merge_answers(query, read, reading.equivalence)


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
