"""Draws stored samples again, to see whether they come out the same.

The same seeds, prompts and settings give the same sample where the engine computes in the same
order. It need not: what is decoded together decides how sums are split, and another version of an
engine, or another card, may round otherwise. So it is counted, not promised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from nbest.experiments.analysis.accuracy import Accuracy, accuracy_of
from nbest.experiments.runs.plan import Plan
from nbest.orchestrator.errors import InputError, RunChanged
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.protocols import Sampler
from nbest.orchestrator.query.fanout import draw
from nbest.orchestrator.requirements import require
from nbest.orchestrator.run.local import run
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.store.format.manifest import differences, versions
from nbest.orchestrator.store.format.schema import FINAL
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.strategies.deep_conf import DeepConf
from nbest.orchestrator.strategies.search.grown import TreeStrategy
from nbest.orchestrator.types import Query, Sample, Selection, Status

COMPARED = ("id", "text", "reasoning", "token_ids", "status")


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrawn:
    """A stored sample, and the one that was drawn in its place."""

    query_id: str
    index: int
    is_equal: bool  # in its tokens where both have them, else in its text; and in how it ended
    differs_at: int | None = None  # the first token that differs; None where tokens are not known
    error: str = ""  # why it could not be drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What came of drawing some samples of a run again."""

    stored: int  # samples of the run that can be drawn again
    compared: tuple[Redrawn, ...]
    packages: tuple[str, ...]  # a line for each that has another version now

    @property
    def drawn(self) -> tuple[Redrawn, ...]:
        """Those that could be drawn."""
        return tuple(one for one in self.compared if not one.error)

    @property
    def failed(self) -> tuple[Redrawn, ...]:
        """Those that could not."""
        return tuple(one for one in self.compared if one.error)

    @property
    def equal(self) -> Accuracy:
        """The share that is equal, with its interval over questions; failures left out."""
        return accuracy_of(
            [float(one.is_equal) for one in self.drawn],
            clusters=[one.query_id for one in self.drawn],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawAgain:
    """The strategy that draws certain samples of each question, and chooses none."""

    indices: Mapping[str, Sequence[int]]  # by query id
    params: SamplingParams

    async def __call__(self, query: Query, sampler: Sampler) -> Selection:
        samples = await draw(sampler, self.indices[query.id], self.params)
        scores = np.full(len(samples), math.nan)
        return Selection(
            index=None, answer=None, samples=samples, scores=scores, confidence=math.nan
        )


def verify(plan: Plan, folder: StrPath, count: int, seed: int = 0) -> Verification:
    """Draw `count` samples of a run again, chosen at random; nothing is written.

    RunChanged where the plan is not that of the run, InputError where it has no sample.
    """
    require(count >= 1, "sample", "be at least 1", count)
    reader = RunReader(folder)
    if lines := differences(reader.manifest.fingerprint, plan.fingerprint()):
        raise RunChanged(f"run directory {reader.shown_path!r} has other settings: {lines[0]}")
    rule = "hold whole answers: the nodes of a tree are not drawn again"
    require(not isinstance(plan.strategy, TreeStrategy), "run", rule, reader.shown_path)
    queries = _same_queries(plan, reader)
    stored = [
        (query_id, _index(sample))
        for query_id, samples in reader.samples(("id", "status"))
        if query_id in queries
        for sample in samples
        if _can_be_drawn(plan, sample)
    ]
    if not stored:
        raise InputError(
            f"run must hold samples of these questions, {reader.shown_path!r} has none"
        )
    places = np.random.default_rng(seed).permutation(len(stored))[:count]
    keys = [stored[place] for place in sorted(places)]
    drawn, kept = _drawn(plan, queries, keys), _kept(reader, keys)
    return Verification(
        stored=len(stored),
        compared=tuple(compare(key, kept[key], drawn[key]) for key in keys),
        packages=tuple(differences(reader.manifest.packages, versions())),
    )


def _same_queries(plan: Plan, reader: RunReader) -> dict[str, Query]:
    """The questions that plan and run share, by id; RunChanged where a prompt differs."""
    planned = {query.id: query for query in plan.prompts.queries}
    shared = [query for query in reader.each_query() if query.id in planned]
    for query in shared:
        ours = planned[query.id]
        if (query.prompt, dict(query.variants)) != (ours.prompt, dict(ours.variants)):
            raise RunChanged(f"question {query.id!r} has another prompt in {reader.shown_path!r}")
    return {query.id: planned[query.id] for query in shared}


def _can_be_drawn(plan: Plan, sample: Sample) -> bool:
    """Whether a sample ended by itself: one that was ended depends on when that was."""
    may_have_fallen = isinstance(plan.strategy, DeepConf) and sample.status is not Status.OK
    return sample.status in FINAL and not may_have_fallen


def _index(sample: Sample) -> int:
    """The index of a stored sample; InputError for an id that no run of ours has."""
    with suppress(ValueError):
        if (index := index_of(sample.id)) >= 0:
            return index
    raise InputError(f"run must hold samples with ids of nbest's own, got {sample.id[:80]!r}")


def _kept(reader: RunReader, keys: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Sample]:
    """The stored samples of these keys; no others are in memory."""
    stored, wanted = reader.stored_samples(COMPARED), set(keys)
    return {
        (query_id, index): sample
        for query_id in dict.fromkeys(query_id for query_id, _ in keys)
        for sample in stored.of(query_id)
        if (query_id, index := _index(sample)) in wanted
    }


def _drawn(
    plan: Plan, queries: Mapping[str, Query], keys: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], Sample | str]:
    """The samples of these keys, drawn in this process; for one that failed, why."""
    indices: dict[str, list[int]] = {}
    for query_id, index in keys:
        indices.setdefault(query_id, []).append(index)
    strategy = DrawAgain(indices=indices, params=plan.strategy.sampling())
    records = run(
        [queries[query_id] for query_id in indices],
        strategy,
        plan.backend,
        seed=plan.config.seed,
        panel=plan.panel,
    )
    drawn: dict[tuple[str, int], Sample | str] = {}
    for record in records:
        samples = () if record.selection is None else record.selection.samples
        for place, index in enumerate(indices[record.query_id]):
            key = record.query_id, index
            drawn[key] = samples[place] if samples else record.error
    return drawn


def compare(key: tuple[str, int], stored: Sample, again: Sample | str) -> Redrawn:
    """Compare a stored sample with the one that was drawn in its place."""
    query_id, index = key
    if isinstance(again, str) or again.status is Status.ERROR:
        error = " ".join((again if isinstance(again, str) else again.error).split())
        return Redrawn(query_id=query_id, index=index, is_equal=False, error=error)
    said, now = ((s.text, s.reasoning, s.status) for s in (stored, again))
    is_known = bool(stored.token_ids and again.token_ids)
    is_equal = said == now and (not is_known or stored.token_ids == again.token_ids)
    return Redrawn(
        query_id=query_id,
        index=index,
        is_equal=is_equal,
        differs_at=None if is_equal or not is_known else _first_difference(stored, again),
    )


def _first_difference(one: Sample, other: Sample) -> int:
    pairs = enumerate(zip(one.token_ids, other.token_ids, strict=False))
    shorter = min(len(one.token_ids), len(other.token_ids))
    return next((place for place, (a, b) in pairs if a != b), shorter)
