"""Scores of known quality: one that knows all, one that knows nothing, one that was trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from nbest.experiments.studies.search_against_sampling.sums import is_right_so_far, lines_of
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.types import Candidates, Query, Scores, Selection
from nbest.scorers.estimators.risk_coverage import auroc

TRUSTED = 0.99  # what the oracle says of right steps: a filter takes scores for chances
ORACLE, TRAINED, SHUFFLED = "oracle", "trained", "shuffled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """Checks each line of a sum by computing it; of the fake model, it knows the word."""

    is_pointwise = True
    needs_logprobs = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        right = [is_right_so_far(query, sample.text) for sample in candidates.samples]
        return np.where(right, TRUSTED, 1.0 - TRUSTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffled:
    """Knows nothing: any number for each text, always the same one."""

    seed: int
    is_pointwise = True
    needs_logprobs = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        texts = (f"{self.seed}/{query.id}/{sample.text}" for sample in candidates.samples)
        hashes = (blake2b(text.encode("utf-8", "replace"), digest_size=4) for text in texts)
        numbers = np.array([int.from_bytes(h.digest()) / 2**32 for h in hashes])
        return np.asarray(0.01 + 0.98 * numbers, np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """A rating of one prefix, and what the oracle says of it."""

    depth: int  # steps of the prefix
    score: float
    is_right: bool
    was_right: bool  # before its last step


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Scores as another scorer does, and keeps each rating by its question and lines."""

    score: Scorer
    ratings: dict[tuple[str, ...], float] = field(default_factory=dict)
    is_pointwise = True
    needs_logprobs = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        scores = await self.score(query, candidates)
        for sample, score in zip(candidates.samples, scores, strict=True):
            self.ratings[query.id, *lines_of(sample.text)] = float(score)
        return scores

    def of_chains(self, chains: Iterable[tuple[Query, Selection]]) -> list[Rated]:
        """The ratings of all steps of all chains.

        A search rates equal siblings once; here each chain counts, for each was drawn.
        """
        return [
            rated
            for query, selection in chains
            for sample in selection.samples
            for rated in self._of_chain(query, lines_of(sample.text))
        ]

    def _of_chain(self, query: Query, lines: Sequence[str]) -> Iterator[Rated]:
        was_right = True
        for depth in range(1, len(lines) + 1):
            is_right = is_right_so_far(query, "\n".join(lines[:depth]))
            if (query.id, *lines[:depth]) in self.ratings:
                score = self.ratings[query.id, *lines[:depth]]
                yield Rated(depth=depth, score=score, is_right=is_right, was_right=was_right)
            was_right = is_right


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What a score knows of steps."""

    p: float  # the chance that a step is right after right ones
    a: float  # the chance that it rates such a step above its median
    b: float  # the chance that it does so with the first wrong one
    auroc_by_depth: tuple[float, ...]  # of prefixes of one step, two, ...


def quality_of(ratings: Sequence[Rated]) -> Quality:
    """Sum up ratings; nan where there is nothing to sum up."""
    open_steps = [rated for rated in ratings if rated.was_right]
    median = float(np.median([rated.score for rated in open_steps])) if open_steps else 0.0
    said = {
        right: [rated.score > median for rated in open_steps if rated.is_right == right]
        for right in (True, False)
    }
    depths = range(1, max((rated.depth for rated in ratings), default=0) + 1)
    by_depth = ([rated for rated in ratings if rated.depth == depth] for depth in depths)
    return Quality(
        p=_share(rated.is_right for rated in open_steps),
        a=_share(said[True]),
        b=_share(said[False]),
        auroc_by_depth=tuple(
            auroc([rated.score for rated in some], [rated.is_right for rated in some])
            for some in by_depth
        ),
    )


def _share(flags: Iterable[bool]) -> float:
    values = np.array(list(flags), np.float64)
    return float(values.mean()) if len(values) else float("nan")
