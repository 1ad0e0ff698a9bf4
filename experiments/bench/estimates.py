"""`nbest bench estimates`: how long looking at stored samples takes.

Commands are timed whole, from the shell to their end, as the user waits for them. The pools are
made up of questions of all difficulties.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from nbest.experiments.bench.table import holds_table
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.scorers.estimators.majority_at_k import majority_at_k

MAJORITY_QUERIES, MAJORITY_N, MAJORITY_K = 500, 80, 64
SELECT = 'vote,score(name="verifier"),shortest,weighted_vote(by=score(name="verifier"))'
TEXT = "Let us see. " * 12  # of a sample, before its answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """How large a made-up pool is."""

    queries: int
    n: int


CURVE = Pool(queries=500, n=100)
REPORT = Pool(queries=10_000, n=16)


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateTimes:
    """Medians over the rounds; a report is made once."""

    majority_s: float  # a vote among k, for all k to 64, 500 questions of 80 samples, exact
    curve_s: float  # the command `curve --select vote`
    report_s: float  # the command `report` with four selectors, a weighted vote among them
    report_mb: float


HOLDS = {
    "majority_s": "under 5",
    "curve_s": "under 3 (500 questions of 100 samples)",
    "report_s": "under 30 (10,000 questions of 16 samples)",
    "report_mb": "under 10",
}


def measure_estimates(
    curve: Pool, report: Pool, rounds: int, tell: Callable[[str], None]
) -> EstimateTimes:
    """Make the pools, and time the commands that read them."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        small, large = (_imported(Path(folder), pool) for pool in (curve, report))
        tell("the pools are made")
        curve_s = [_command_s("curve", str(small), "--select", "vote") for _ in range(rounds)]
        tell("the curve is drawn")
        report_s = _command_s("report", str(large), "--select", SELECT, "--out", str(page))
        return EstimateTimes(
            majority_s=statistics.median(_majority_s() for _ in range(rounds)),
            curve_s=statistics.median(curve_s),
            report_s=report_s,
            report_mb=page.stat().st_size / 1e6,
        )


def times_table(times: EstimateTimes) -> Table:
    """The figures of `--json` as a table for the terminal."""
    return holds_table(asdict(times), HOLDS)


def _command_s(*arguments: str) -> float:
    command = [sys.executable, "-m", "nbest", *arguments]
    started_s = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started_s


def _majority_s() -> float:
    rng = np.random.default_rng(0)
    counts = [Counter(_answers(rng, MAJORITY_N).tolist()) for _ in range(MAJORITY_QUERIES)]
    started_s = time.perf_counter()
    for votes in counts:
        nulls = votes.pop(0, 0)  # as if it were no answer
        values = [float(answer == 7) for answer in votes]
        majority_at_k(list(votes.values()), values, nulls, MAJORITY_K)
    return time.perf_counter() - started_s


def _imported(folder: Path, pool: Pool) -> Path:
    file = folder / f"{pool.queries}x{pool.n}.jsonl"
    rng = np.random.default_rng(0)
    with file.open("w") as lines:
        for q in range(pool.queries):
            lines.write(json.dumps(_line(rng, q, pool.n)) + "\n")
    import_pool([file], file.with_suffix(""), grade="number")
    return file.with_suffix("")


def _line(rng: np.random.Generator, q: int, n: int) -> dict[str, object]:
    answers = _answers(rng, n)
    scores = (answers == 7) + rng.normal(0, 1, n)
    samples = [
        {
            "text": f"{TEXT}{answer}",
            "answer": str(answer),
            "tokens": int(tokens),
            "scores": {"verifier": round(float(score), 4)},
        }
        for answer, tokens, score in zip(answers, rng.integers(20, 400, n), scores, strict=True)
    ]
    return {"id": f"q{q}", "prompt": f"What is asked here, {q}?", "gold": "7", "samples": samples}


def _answers(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """[n] Answers: 7 is right, with a chance drawn for each question; the wrong ones are many."""
    return np.where(rng.random(n) < rng.beta(0.8, 0.8), 7, rng.integers(0, 30, n))
