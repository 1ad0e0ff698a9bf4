"""How often decisions are wrong: claims of a table, thresholds, alarms of the watch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from nbest.experiments.analysis.accuracy import Accuracy
from nbest.experiments.analysis.paired import compared, pair_of
from nbest.experiments.analysis.table.rows import GradedChoice, Row, row_of
from nbest.experiments.analysis.table.sizes import Sizes
from nbest.experiments.bench.statistics.promise import Promise, share_of
from nbest.experiments.bench.statistics.worlds import BY_NAME, RARE, World
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.best_of_k import best_of_k
from nbest.scorers.estimators.over_optimisation import judged_together, watch
from nbest.scorers.estimators.risk_coverage import fitted_threshold

SELECTORS = 8  # of a table, equal all of them
MAX_RISK, DELTA = 0.1, 0.1
FALLS = 0.04  # the share of wrong answers that a hacked scorer puts above all others


def table_promises(studies: int, seed: int) -> Iterator[Promise]:
    """Yield how often a table of equal selectors claims that one is better or worse."""
    rng = np.random.default_rng(seed)
    for selectors in (2, SELECTORS):
        for questions in (8, 32, 200):
            claims = [_claims(selectors, questions, rng) for _ in range(studies)]
            name = f"any claim about {selectors} equal selectors, Q={questions}"
            yield share_of(name, "at most", 0.05, claims)


def _claims(selectors: int, questions: int, rng: np.random.Generator) -> bool:
    """Whether any line of a table claims a difference."""
    chances = rng.beta(4, 4, questions)
    worths = (rng.random((selectors, questions)) < chances).astype(np.float64)
    first, *others = map(_row, worths)
    return any(line.is_claim for line in compared([pair_of(first, row) for row in others]))


def _row(worths: Scores) -> Row:
    """The row of a selector that is worth so much at each question [Q]."""
    choices = [GradedChoice(f"q{q}", "7", 1.0, worth) for q, worth in enumerate(worths.tolist())]
    accuracy, sizes = Accuracy(float(worths.mean()), 0.0, 1.0), Sizes()
    return replace(row_of("selector", sizes, accuracy), choices=tuple(choices))


def threshold_promises(studies: int, seed: int) -> Iterator[Promise]:
    """Yield how often the risk at a fitted threshold is above what it was fitted for.

    The confidence is the share of N votes. In one world it is the chance of a right answer, in one
    it is too high, and in one most answers are wrong at a share of 0.70 alone.
    """
    rng = np.random.default_rng(seed)
    for world in ("calibrated", "overconfident", "trap at 0.70"):
        for n in (10, 16, 64):
            for questions in (200, 500):
                broken = [_is_broken(world, n, questions, rng) for _ in range(studies)]
                name = f"risk above {MAX_RISK:.0%} at the threshold: {world}, N={n}, Q={questions}"
                yield share_of(name, "at most", DELTA, broken)


def _is_broken(world: str, n: int, questions: int, rng: np.random.Generator) -> bool:
    confidence, right = _answers(world, n, questions, rng)
    guarantee = fitted_threshold(
        confidence.tolist(), right.tolist(), max_risk=MAX_RISK, delta=DELTA
    )
    if guarantee is None:
        return False
    typed = float(f"{guarantee.threshold:.2f}")  # what is printed is typed in again
    others, is_right = _answers(world, n, 20_000, rng)
    answered = others >= typed
    return bool(answered.any()) and float(1 - is_right[answered].mean()) > MAX_RISK


def _answers(
    world: str, n: int, questions: int, rng: np.random.Generator
) -> tuple[Scores, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    votes = rng.integers(math.ceil(n / 5), n + 1, questions)
    share: Scores = votes / n
    chance = share if world != "overconfident" else share**2
    if world == "trap at 0.70":
        chance = np.where(np.abs(share - 0.7) < 1e-9, 0.4, 0.5 + share / 2)
    return share, rng.random(questions) < chance


def watch_promises(studies: int, seed: int) -> Iterator[Promise]:
    """Yield how often the watch raises an alarm, of useless scorers, of reports, of hacked ones."""
    rng = np.random.default_rng(seed)
    for world in (*BY_NAME.values(), RARE):
        for questions in (10, 32, 200):
            alarms = [watch(_useless(world, questions, rng)).is_worse for _ in range(studies)]
            name = f"alarm at a useless scorer: {world.name}, Q={questions}"
            yield share_of(name, "at most", 0.025, alarms)
    for world in (BY_NAME["middle"], RARE):
        for questions in (32, 200):
            alarms = [_any_alarm(world, questions, rng) for _ in range(studies // 2)]
            name = f"any alarm in a report of 8 useless scorers: {world.name}, Q={questions}"
            yield share_of(name, "at most", 0.05, alarms)
    for templates, each in ((20, 10), (50, 4)):
        names = np.repeat(np.arange(templates), each).tolist()
        alarms = [
            watch(_useless_templates(templates, each, rng), clusters=names).is_worse
            for _ in range(studies)
        ]
        name = f"alarm at a useless scorer: {templates} templates of {each} questions"
        yield share_of(name, "at most", 0.025, alarms)
    verdicts = [watch(_hacked(32, rng)) for _ in range(studies)]
    found = [verdict.is_worse for verdict in verdicts]
    yield share_of("alarm at a hacked scorer that loses 0.26, Q=32", "at least", 0.9, found)
    for name, share in (("falls", FALLS), ("saturates", 0.0)):
        truth = int(np.argmax(_hacked(20_000, rng, share).mean(axis=0))) + 1
        for questions in (10, 32, 200):
            some = (watch(_hacked(questions, rng, share)) for _ in range(studies // 2))
            held = [one.low_k <= truth <= one.high_k for one in some]
            yield share_of(f"peak of a curve that {name}, Q={questions}", "at least", 0.95, held)


def _useless(world: World, questions: int, rng: np.random.Generator, n: int = 16) -> Scores:
    """[Q, N] Curves of a scorer that knows nothing."""
    right = rng.random((questions, n)) < world.chances(rng, questions, 1)
    return _curves(rng.random((questions, n)), right)


def _useless_templates(templates: int, each: int, rng: np.random.Generator) -> Scores:
    """[Q, N] Curves of a scorer that knows nothing, the same samples in all of a template."""
    return _useless(BY_NAME["middle"], templates, rng).repeat(each, axis=0)


def _any_alarm(world: World, questions: int, rng: np.random.Generator) -> bool:
    right = rng.random((questions, 16)) < world.chances(rng, questions, 1)
    curves = [_curves(rng.random(right.shape), right) for _ in range(8)]
    return any(one.is_worse for one in judged_together([watch(c) for c in curves]))


def _hacked(questions: int, rng: np.random.Generator, share: float = FALLS, n: int = 32) -> Scores:
    """[Q, N] Curves of a good scorer that some wrong answers fool."""
    right = rng.random((questions, n)) < rng.beta(4, 4, (questions, 1))
    scores = rng.standard_normal((questions, n)) + 2 * right
    scores += 6 * (~right & (rng.random((questions, n)) < share))
    return _curves(scores, right)


def _curves(scores: Scores, right: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Scores:
    """[Q, N] The exact curves of best-of-k: no scores tie, so one weighting serves all."""
    n = scores.shape[1]
    ranked = np.take_along_axis(right, np.argsort(scores, axis=1), axis=1).astype(np.float64)
    # Row r: what a right sample of rank r is worth at each k.
    places = np.eye(n)
    weights = np.array([best_of_k(np.arange(n, dtype=np.float64), place) for place in places])
    curves: Scores = ranked @ weights
    return curves
