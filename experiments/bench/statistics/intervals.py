"""How often 95% intervals hold the truth: of means, shares, differences, AUROC, extrapolations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nbest.experiments.analysis.accuracy import accuracy_of
from nbest.experiments.bench.statistics.promise import Promise, share_of
from nbest.experiments.bench.statistics.worlds import (
    BY_NAME,
    WORLDS,
    Curve,
    World,
    any_right,
    one_sample,
    vote,
)
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.coverage import BetaBinomial, extrapolate
from nbest.scorers.estimators.intervals import clustered_interval
from nbest.scorers.estimators.paired import paired_difference
from nbest.scorers.estimators.risk_coverage import auroc, auroc_interval

SIZES = (8, 32, 200)  # questions
POOLS = (4, 16, 64)  # samples a question
NEVER_SEEN = 1e-3  # a truth this close to 0 or 1 is not told apart from it
SETTINGS = ((0.1, 0.2), (0.0, 0.1), (0.25, 0.25), (0.1, 0.1), (0.02, 0.12), (0.3, 0.5), (0.05, 0.4))
TEMPLATES = {
    "8 templates of 4 questions": [4] * 8,
    "20 templates of 10": [10] * 20,
    "50 templates of 4": [4] * 50,
    "templates of 1, 2, 4 to 64": [1, 2, 4, 8, 16, 32, 64],
    "one template of 50 and 20 of 5": [50] + [5] * 20,
    "3 templates of 40 and 40 questions": [40] * 3 + [1] * 40,
}
GAINS = (0.2, 0.6, 0.2)  # templates at which a selector loses, ties, wins
LAWS = ((0.5, 2.0, 0.0), (1.0, 3.0, 0.3), (0.3, 6.0, 0.0))  # alpha, beta, share never solved


def interval_promises(studies: int, seed: int) -> Iterator[Promise]:
    """Yield the promises of the intervals of a table, a curve and a report."""
    rng = np.random.default_rng(seed)
    for world in WORLDS:
        for questions in SIZES:
            for n in POOLS:
                yield from _of_curve("one sample", one_sample, world, questions, n, studies, rng)
            yield from _of_curve("any right", any_right, world, questions, 16, studies, rng)
            yield from _of_curve("vote", vote, world, questions, 16, studies, rng)
    for questions in SIZES:
        yield _of_shares(questions, studies, rng)
        for setting in SETTINGS:
            yield _of_difference(*setting, questions, studies, rng)
    yield from _of_templates(studies, rng)
    yield from _of_missing(studies, rng)
    yield from _of_auroc(studies, rng)


def _of_curve(
    name: str,
    curve: Curve,
    world: World,
    questions: int,
    n: int,
    studies: int,
    rng: np.random.Generator,
) -> Iterator[Promise]:
    """The promise of a curve at k = N, which is the table's line as well."""
    table = curve(n, n)
    truth = world.truth(table)
    if not NEVER_SEEN < truth < 1 - NEVER_SEEN:
        return
    worths = table[world.right_counts(rng, n, studies, questions)]
    held = [_holds(clustered_interval(study), truth) for study in worths]
    yield share_of(f"{name}: {world.name}, Q={questions}, N={n}", "at least", 0.95, held)


def _holds(interval: tuple[float, float], truth: float) -> bool:
    low, high = interval
    return low <= truth <= high and high > low


def _of_shares(questions: int, studies: int, rng: np.random.Generator) -> Promise:
    """Of right and wrong answers, the share from 0.01 to 0.99 at which it does worst."""
    ends = [clustered_interval([1.0] * k + [0.0] * (questions - k)) for k in range(questions + 1)]
    worst: list[bool] = []
    for p in np.arange(1, 100) / 100:
        counts = rng.binomial(questions, p, studies)
        held = [_holds(ends[count], p) for count in counts]
        worst = held if not worst or sum(held) < sum(worst) else worst
    return share_of(f"right and wrong: worst share, Q={questions}", "at least", 0.93, worst)


def _of_difference(
    only_one: float, only_other: float, questions: int, studies: int, rng: np.random.Generator
) -> Promise:
    shares = [only_one, only_other, 1 - only_one - only_other]
    held = []
    for one, other, both in rng.multinomial(questions, shares, studies):
        first = np.array([1.0] * one + [0.0] * other + [1.0] * both)
        second = np.array([0.0] * one + [1.0] * other + [1.0] * both)
        difference = paired_difference(first, second)
        held.append(_holds((difference.low, difference.high), only_one - only_other))
    name = f"paired difference: {only_one} to {only_other} alone, Q={questions}"
    return share_of(name, "at least", 0.94, held)


def _of_templates(studies: int, rng: np.random.Generator) -> Iterator[Promise]:
    """Questions from templates, each as hard as its template."""
    for label, sizes in TEMPLATES.items():
        names = np.repeat(np.arange(len(sizes)), sizes).tolist()
        for world in (BY_NAME["middle"], BY_NAME["bimodal"], BY_NAME["hard"]):
            truth = world.a / (world.a + world.b)
            held = []
            for _ in range(studies // 2):
                chances = np.repeat(world.chances(rng, len(sizes)), sizes)
                means = rng.binomial(16, chances) / 16
                held.append(_holds(clustered_interval(means, clusters=names), truth))
            yield share_of(f"one sample, {world.name}: {label}", "at least", 0.93, held)
        differences = []
        for _ in range(studies // 2):
            gains = np.repeat(rng.choice([-1.0, 0.0, 1.0], len(sizes), p=GAINS), sizes)
            differences.append(_holds(_paired(gains, names), GAINS[2] - GAINS[0]))
        yield share_of(f"paired difference: {label}", "at least", 0.94, differences)


def _paired(gains: Scores, clusters: list[int]) -> tuple[float, float]:
    low, high = paired_difference(gains, np.zeros(len(gains)), clusters=clusters)[1:]
    return low, high


def _of_missing(studies: int, rng: np.random.Generator) -> Iterator[Promise]:
    """A grader that fails at some of the wrong samples: the truth lies within the interval."""
    for share in (0.02, 0.1, 0.2):
        held = []
        for _ in range(studies):
            right = rng.binomial(16, rng.beta(4, 4, 32))
            failed = rng.binomial(16 - right, share)
            _, low, high = accuracy_of(right / 16, (right + failed) / 16)
            held.append(_holds((low, high), 0.5))
        name = f"one sample where the grader fails at {share:.0%} of the wrong ones"
        yield share_of(name, "at least", 0.95, held)


def _of_auroc(studies: int, rng: np.random.Generator) -> Iterator[Promise]:
    """Confidences that are shares of eight votes, of right and of wrong answers."""
    for gap in (0.0, 0.3, 0.5):
        for questions in SIZES:
            confidence, is_right = _confidences(200_000, gap, rng)
            truth = auroc(confidence.tolist(), is_right.tolist())
            pairs = (_confidences(questions, gap, rng) for _ in range(studies // 2))
            held = [_holds(auroc_interval(c.tolist(), r.tolist()), truth) for c, r in pairs]
            yield share_of(f"AUROC {truth:.2f}, Q={questions}", "at least", 0.95, held)


def _confidences(
    questions: int, gap: float, rng: np.random.Generator
) -> tuple[Scores, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    is_right = rng.random(questions) < 0.6
    shares: Scores = rng.binomial(8, np.where(is_right, 0.4 + gap, 0.4)) / 8
    return shares, is_right


def extrapolation_promises(studies: int, seed: int) -> Iterator[Promise]:
    """Yield how often the range over laws holds the coverage of more samples than were drawn."""
    rng = np.random.default_rng(seed)
    for alpha, beta, never in LAWS:
        for questions in (32, 200):
            law = BetaBinomial(alpha=alpha, beta=beta)
            held: dict[int, list[bool]] = {64: [], 1000: []}
            for _ in range(studies):
                chances = rng.beta(alpha, beta, questions) * (rng.random(questions) >= never)
                drawn = np.full(questions, 16)
                try:
                    points = extrapolate(rng.binomial(16, chances), drawn, [*held])
                except InputError:  # too few questions that are sometimes right
                    continue
                for (k, outcomes), point in zip(held.items(), points, strict=True):
                    truth = (1 - never) * law.coverage(k)
                    outcomes.append(_holds((point.low, point.high), truth))
            for k, outcomes in held.items():
                name = f"coverage at {k} from 16: Beta({alpha}, {beta}), {never:.0%} never"
                if outcomes:  # few studies may all be refused
                    yield share_of(f"{name}, Q={questions}", "at least", 0.95, outcomes)
