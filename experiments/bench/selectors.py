"""`nbest bench selectors`: how fast selectors are, from candidates to a selection.

Everything is measured through the functions that a run uses. No engine and no store take part.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import numpy as np
from rich.table import Table

from nbest.experiments.bench.table import holds_table
from nbest.orchestrator.query.selection import merge_answers, read_answers, select
from nbest.orchestrator.types import Candidates, Query, Sample
from nbest.scorers.answers.extract import Regex
from nbest.scorers.confidence.trace import window_means
from nbest.scorers.equivalence.mathematics import MathEquivalence
from nbest.scorers.votes.majority import MajorityVote

DISTINCT = 64
QUERIES = 100
TRACE_TOKENS, WINDOW_TOKENS = 16_000, 2048
QUERY = Query(id="q", prompt="?")


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectorSpeeds:
    """Medians over the rounds."""

    candidates: int  # a query
    vote_per_s: float  # candidates, answers extracted before
    extract_vote_per_s: float  # candidates, extraction by regex included
    math_vote_per_s: float  # candidates, their 64 answers seen before
    math_first_s: float  # to see 64 answers for the first time; the processes run already
    deepconf_ms: float  # all windows of one trace


HOLDS = {
    "vote_per_s": "at least 5,000,000",
    "extract_vote_per_s": "at least 1,000,000",
    "math_vote_per_s": "at least 200,000",
    "math_first_s": "under 1",
    "deepconf_ms": "under 5",
}


def measure_selectors(candidates: int, rounds: int) -> SelectorSpeeds:
    """Measure everything `rounds` times; the median counts."""
    numbers = asyncio.run(_numbers_per_s(candidates, rounds))
    mathematics = asyncio.run(_mathematics(candidates, rounds))
    trace = np.random.default_rng(0).uniform(0, 20, TRACE_TOKENS)
    windows_s = [_seconds(lambda: window_means(trace, WINDOW_TOKENS)) for _ in range(10 * rounds)]
    return SelectorSpeeds(
        candidates=candidates,
        vote_per_s=numbers[0],
        extract_vote_per_s=numbers[1],
        math_vote_per_s=mathematics[0],
        math_first_s=mathematics[1],
        deepconf_ms=1000 * statistics.median(windows_s),
    )


def speeds_table(speeds: SelectorSpeeds) -> Table:
    """The figures of `--json` as a table for the terminal."""
    return holds_table(asdict(speeds), HOLDS)


async def _numbers_per_s(candidates: int, rounds: int) -> tuple[float, float]:
    """The candidates a second through a vote, and through a regex and a vote."""
    numbers = np.random.default_rng(0).integers(0, DISTINCT, candidates)
    samples = tuple(
        Sample(id=f"s{i}", text=f"So 3 + 4 makes it. The total is\n#### {number}")
        for i, number in enumerate(numbers)
    )
    extract, vote = Regex(pattern=r"#### (\d+)"), MajorityVote()
    read = read_answers(samples, extract)

    async def votes() -> None:
        for _ in range(QUERIES):
            await select(QUERY, read, vote)

    async def extracts_and_votes() -> None:
        for _ in range(QUERIES):
            await select(QUERY, read_answers(samples, extract), vote)

    total = candidates * QUERIES
    return await _rate(votes, total, rounds), await _rate(extracts_and_votes, total, rounds)


async def _mathematics(candidates: int, rounds: int) -> tuple[float, float]:
    """The candidates a second through equivalence and vote, and the seconds of the first pass."""
    same = MathEquivalence()
    await same(QUERY, [rf"\sqrt{{{n}}}+x" for n in (2, 3)])  # starts the processes
    answers = [_formula(i) for i in range(DISTINCT)]
    chosen = np.random.default_rng(0).integers(0, DISTINCT, candidates)
    pool = Candidates(
        samples=tuple(Sample(id=f"s{i}", text="") for i in range(candidates)),
        answers=tuple(answers[i] for i in chosen),
    )
    started_s = time.perf_counter()
    await merge_answers(QUERY, pool, same)
    first_s = time.perf_counter() - started_s

    async def votes() -> None:
        for _ in range(QUERIES):
            await select(QUERY, await merge_answers(QUERY, pool, same), MajorityVote())

    return await _rate(votes, candidates * QUERIES, rounds), first_s


def _formula(i: int) -> str:
    r"""A formula; half of them mean the same as another: \frac{3x+1}{2} and (3x+1)/2."""
    return rf"\frac{{{i}x+1}}{{2}}" if i % 2 else f"({i + 1}x+1)/2"


async def _rate(work: Callable[[], Awaitable[None]], count: int, rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        started_s = time.perf_counter()
        await work()
        seconds.append(time.perf_counter() - started_s)
    return count / statistics.median(seconds)


def _seconds(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s
