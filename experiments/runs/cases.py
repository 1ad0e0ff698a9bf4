"""Cases: the queries of a run with their samples, the answers read in them, and their verdicts."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import TypeVar

import numpy as np

from nbest.experiments.config.objects import Builds
from nbest.experiments.config.plugins import (
    build_equivalence,
    build_extractor,
    build_grader,
)
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.graders.model_verdicts import ModelVerdicts
from nbest.experiments.questions.reading import Reading, with_memory
from nbest.experiments.runs.case import Case, graded_case
from nbest.experiments.runs.chains import Drawn, drawn_samples, tree_of
from nbest.experiments.runs.gold_file import read_gold
from nbest.experiments.runs.recorded_answers import read_recorded, with_recorded
from nbest.experiments.runs.scope import Scope
from nbest.experiments.runs.selectors import with_models_of
from nbest.experiments.runs.stored_calls import StoredCalls
from nbest.experiments.runs.verdicts_file import with_verdicts
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.selection import merge_answers, read_answers, with_calls
from nbest.orchestrator.store.format.manifest import Json
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.strategies.search.grown import TreeStrategy
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Candidates, Query, Sample, Scores

T = TypeVar("T")


def reading_of(
    run: RunReader,
    extract: str | None = None,
    grade: str | None = None,
    equivalence: str | None = None,
) -> Reading:
    """Build what reads the answers of a run; None stands for the setting in the run's config."""
    config = run.manifest.config
    return Reading(
        extract=_built(build_extractor, extract, config, "extract"),
        grade=_built(build_grader, grade, config, "grade"),
        equivalence=_built(build_equivalence, equivalence, config, "equivalence", "exact"),
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
    reader = CaseReader(run, reading, scorers, gold, tree)
    is_empty = True
    for query in run.each_query():
        if scope is not None and not scope.keeps(query.id):
            continue
        case = await reader.case(query, scope)
        if case is not None:
            is_empty = False
            yield case
    if is_empty and tree is None:
        raise InputError(f"run must hold samples to select from, {run.shown_path!r} has none yet")


class CaseReader:
    """Reads the cases of an open run one by one, in any order; see `each_case`.

    With `has_tokens` the samples come with their token ids, which no scorer reads.
    """

    def __init__(
        self,
        run: RunReader,
        reading: Reading,
        scorers: Collection[Scorer] | None = None,
        gold: Mapping[str, Gold] | None = None,
        tree: TreeStrategy | None = None,
        *,
        has_tokens: bool = False,
    ) -> None:
        self._reading = with_memory(with_verdicts(reading, run.path))
        judge = self._reading.grade
        self._judged_by = judge.by if isinstance(judge, ModelVerdicts) else ""
        self._tree = tree or with_models_of(tree_of(run), run)
        is_whole = has_tokens or self._tree is not None
        self._stored = run.stored_samples(None if is_whole else _columns_for(scorers))
        self._ended = run.ended() if self._tree and not tree else set()
        self._recorded = {} if self._reading.rereads else read_recorded(run.path)
        self._scores = {name: run.scores(name) for name in run.scorers}
        self._gold = read_gold(run.path) if gold is None else gold
        self._column = cluster_column(run)
        self._is_imported = bool(run.manifest.config.get("imported"))

    async def drawn(self, query: Query) -> Drawn:
        """What the run has drawn for a query."""
        has_ended = query.id in self._ended
        return await drawn_samples(query, self._stored, self._tree, has_ended=has_ended)

    async def case(self, query: Query, scope: Scope | None = None) -> Case | None:
        """The case of a query of the run; None where it has no sample."""
        return await self.case_of(query, await self.drawn(query), scope)

    async def case_of(self, query: Query, drawn: Drawn, scope: Scope | None = None) -> Case | None:
        """The case of a query by what the run has drawn for it; None where that is no sample."""
        samples = scope.first(drawn.samples) if scope and self._tree is None else drawn.samples
        if not samples:
            return None
        of_query = {name: found.get(query.id, {}) for name, found in self._scores.items()}
        calls = StoredCalls(query_id=query.id, find=self._reply, is_imported=self._is_imported)
        bare = await _read(query, samples, self._reading, self._recorded.get(query.id, {}))
        of_query |= drawn.scores
        numbers = {name: scores_of(samples, found) for name, found in of_query.items()}
        candidates = with_calls(replace(bare, scores=numbers), calls)
        gold = self._gold.get(query.id)
        case = await graded_case(query, candidates, gold, self._reading.grade)
        return replace(
            case,
            cluster=None if self._column is None else _cluster_of(query, self._column),
            graded_by=self._judged_by,
            tree_tokens=drawn.tokens,
            steps=drawn.steps,
        )

    def _reply(self, key: str) -> Sample | None:
        return next(iter(self._stored.of(key)), None)


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


def _built(
    build: Builds[T],
    given: str | None,
    config: Mapping[str, Json],
    key: str,
    default: str | None = None,
) -> T:
    """What the user names is trusted; what the run holds may be somebody else's."""
    if given:
        return build(given, trusted=True)
    return build(_setting(config, key, default))


def _setting(config: Mapping[str, Json], key: str, default: str | None = None) -> str:
    """A setting of the run; InputError where it has none."""
    value = config.get(key, default)
    if not isinstance(value, str):
        raise InputError(f"{key} must be given with --{key}: the run's config has none")
    return value
