"""Particle filters: chains that are copied or dropped at random, by how likely they are right.

The chance that a step is drawn stays the model's own, and the score weighs it: a filter draws from
the model's answers as they are given that all steps are right (Puri et al. 2025, arXiv 2502.01618),
where a search for the best takes the scorer at its word.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.protocols import Scorer, score_bounds
from nbest.orchestrator.requirements import require, require_share
from nbest.orchestrator.strategies.search.plan import Leaf, Node, Plan, generator
from nbest.orchestrator.types import Path

Target = Literal["ratio", "step", "odds", "log"]
Scheme = Literal["systematic", "stratified", "residual", "multinomial"]
TARGETS: tuple[Target, ...] = ("ratio", "step", "odds", "log")
SCHEMES: tuple[Scheme, ...] = ("systematic", "stratified", "residual", "multinomial")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticleFilter:
    """Sequential Monte Carlo over steps; scores are chances, in [0, 1], but for `log`.

    `target` says what a score is. `ratio`: the chance that the answer comes out right from here, as
    a model trained on rollouts says; a particle is weighed by how it has changed. `step`: the
    chance that this step is right. `odds`: score / (1 - score) of all so far, at every step, as the
    authors' code has it; it counts early steps again and again. `log`: any number, whose change is
    what a particle gains in its log-weight, as of `mean_logprob` or a reward without bounds.

    Particles are drawn anew where the effective sample size, 1 / sum of squared weights, falls
    below `threshold` * n. With `anneal` (entropic annealing, arXiv 2510.05825) weights are
    flattened in the first half of `anneal` steps wherever it falls below n / 2.

    Example: `ParticleFilter(n=16, target="ratio")`
    """

    n: int
    target: Target = "ratio"
    resample: Scheme = "systematic"
    threshold: float = 0.5
    anneal: int | None = None  # steps that an answer has, about

    def __post_init__(self) -> None:
        require(self.n >= 1, "n", "be at least 1", self.n)
        require(self.target in TARGETS, "target", f"be one of {', '.join(TARGETS)}", self.target)
        rule = f"be one of {', '.join(SCHEMES)}"
        require(self.resample in SCHEMES, "resample", rule, self.resample)
        require_share("threshold", self.threshold)
        steps = self.anneal
        require(steps is None or steps >= 1, "anneal", "be at least 1 step", steps)

    def plans(self, key: str) -> tuple[Plan, ...]:
        """One plan."""
        return (Particles(self, key),)


@dataclass(slots=True)
class Particle:
    """One particle: where it is, and what it weighs since particles were last drawn anew."""

    path: Path
    log_weight: float = 0.0
    score: float | None = None  # of its last step; None before the first
    has_ended: bool = False


class Particles:
    """The plan of a particle filter."""

    def __init__(self, settings: ParticleFilter, key: str) -> None:
        self._settings = settings
        self._key = key
        self._particles = [Particle(()) for _ in range(settings.n)]
        self._children: Counter[Path] = Counter()  # how many of each node have been drawn
        self._waiting: dict[Path, Particle] = {}
        self._has_begun = False
        self._tells = 0
        self._steps = 0
        self._log_evidence = 0.0

    @property
    def log_evidence(self) -> float:
        """The log of an unbiased estimate of the mean, over the model's answers, of the product of
        their weights: what a weighted mean over particles is to be multiplied by."""
        return self._log_evidence + _log_mean_exp(self._log_weights())

    def ask(self) -> Sequence[Path] | None:
        """A step for each particle that has not ended."""
        if self._waiting:
            return ()
        if self._has_begun:
            self._draw_anew()
        self._has_begun = True
        for particle in self._particles:
            if not particle.has_ended:
                particle.path = self._child_of(particle.path)
                self._waiting[particle.path] = particle
        return tuple(self._waiting) if self._waiting else None

    def tell(self, path: Path, node: Node) -> None:
        """Weigh a particle by the score of its new step."""
        particle = self._waiting.pop(path)
        gained = log_weight_of(self._settings.target, node.score, particle.score)
        particle.log_weight += gained
        if not math.isnan(node.score):  # without one it weighs nothing from now on
            particle.score = node.score
        particle.has_ended = node.has_ended
        self._tells += 1

    def leaves(self) -> Sequence[Leaf]:
        """Each chain that has ended, once, with the share of the weight that its particles have."""
        weights = normalised(self._log_weights())
        totals: dict[Path, float] = {}
        for particle, weight in zip(self._particles, weights.tolist(), strict=True):
            if particle.has_ended:
                totals[particle.path] = totals.get(particle.path, 0.0) + weight
        return [Leaf(path=path, weight=weight) for path, weight in sorted(totals.items())]

    def _child_of(self, path: Path) -> Path:
        self._children[path] += 1
        return (*path, self._children[path] - 1)

    def _log_weights(self) -> NDArray[np.float64]:
        return np.array([particle.log_weight for particle in self._particles])

    def _draw_anew(self) -> None:
        """Copy and drop particles by their weights, where these have become uneven.

        Never once all have ended: a choice by weight from particles drawn by weight would count
        the weights twice.
        """
        self._steps += 1
        log_weights = self._log_weights()
        if all(p.has_ended for p in self._particles) or np.isneginf(log_weights).all():
            return
        effective = 1.0 / float((normalised(log_weights) ** 2).sum()) / self._settings.n
        if effective >= self._settings.threshold:
            return
        drawn_by = log_weights / self._flatness(effective)
        rng = generator(self._key, self._tells)
        places = resampled(normalised(drawn_by), self._settings.resample, rng)
        self._log_evidence += _log_mean_exp(drawn_by)
        # Drawn by other weights than its own, a particle keeps the rest of its weight.
        drawn = [(self._particles[i], float(drawn_by[i])) for i in places]
        self._particles = [
            replace(particle, log_weight=particle.log_weight - used) for particle, used in drawn
        ]

    def _flatness(self, effective: float) -> float:
        """The temperature of entropic annealing; 1 where the weights are taken as they are."""
        steps = self._settings.anneal
        if steps is None or effective >= 0.5 or self._steps >= steps / 2:
            return 1.0
        return max(1.0, (1.0 / effective) * (1.0 - self._steps / steps))


def require_chances(plan: object, scorer: Scorer | None) -> None:
    """Raise InputError where a filter takes scores for chances, and they are none."""
    if not isinstance(plan, ParticleFilter) or plan.target == "log" or scorer is None:
        return
    low, high = score_bounds(scorer) or (0.0, 1.0)
    rule = f"give chances in [0, 1] for the target {plan.target}, or the target be log"
    require(low >= 0.0 and high <= 1.0, "score", rule, scorer)


def log_weight_of(target: Target, score: float, before: float | None) -> float:
    """What a step adds to the log-weight of its particle.

    `before` is the score of the step before, None at the first. A score of 0, or none, ends the
    weight of a particle for good.
    """
    if math.isnan(score) or score == -math.inf:
        return -math.inf
    if target == "log":
        return score - (before or 0.0)
    rule = f"be a chance in [0, 1] for the target {target}; for other numbers there is log"
    require(0.0 <= score <= 1.0, "score", rule, score)
    if score == 0.0:
        return -math.inf
    if target == "step":
        return math.log(score)
    if target == "odds":
        return math.log(score) - math.log(max(1.0 - score, 1e-9))
    return math.log(score) - math.log(before or 1.0)


def resampled(
    weights: NDArray[np.float64], scheme: Scheme, rng: np.random.Generator
) -> NDArray[np.int64]:
    """[N] places of particles drawn anew, in order: each as often as its weight says, in the mean.

    Douc, Cappe and Moulines 2005 compare the schemes: all are unbiased, multinomial varies most.
    """
    n = len(weights)
    if scheme == "residual":
        counts = np.floor(n * weights + 1e-12).astype(np.int64)
        rest = n - int(counts.sum())
        if rest > 0:
            left = np.clip(n * weights - counts, 0.0, None)
            counts += rng.multinomial(rest, left / left.sum())
        return np.repeat(np.arange(n), counts)
    if scheme == "multinomial":
        points = np.sort(rng.random(n))
    elif scheme == "stratified":
        points = (np.arange(n) + rng.random(n)) / n
    else:
        points = (np.arange(n) + rng.random()) / n
    bounds = np.cumsum(weights)
    last = int(np.flatnonzero(weights)[-1])  # rounding must not draw a particle without weight
    return np.searchsorted(bounds, points, side="right").clip(max=last)


def normalised(log_weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N] weights that sum to 1; equal ones where all are 0."""
    if np.isneginf(log_weights).all():
        return np.full(len(log_weights), 1.0 / len(log_weights))
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum(), np.float64)


def _log_mean_exp(values: NDArray[np.float64]) -> float:
    most = float(values.max())
    if math.isinf(most):
        return most
    return most + math.log(float(np.exp(values - most).mean()))
