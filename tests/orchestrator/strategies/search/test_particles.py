"""Particle filters: weights, schemes, and what a finished particle weighs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.strategies.search import particles
from nbest.orchestrator.strategies.search.particles import (
    SCHEMES,
    ParticleFilter,
    Particles,
    Scheme,
    log_weight_of,
    normalised,
    resampled,
)
from nbest.orchestrator.strategies.search.plan import Node

WEIGHTS = np.array([0.05, 0.45, 0.3, 0.2])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_copies_a_particle_as_often_as_it_weighs(scheme: Scheme) -> None:
    rng, runs = np.random.default_rng(1), 4000
    counts = np.zeros(4)
    for _ in range(runs):
        places = resampled(WEIGHTS, scheme, rng)
        assert len(places) == 4
        counts += np.bincount(places, minlength=4)
    spread = np.sqrt(4 * WEIGHTS * (1 - WEIGHTS) / runs)  # of the multinomial, the widest
    assert (np.abs(counts / runs - 4 * WEIGHTS) < 4.5 * spread).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_particle_without_weight_is_never_drawn(scheme: Scheme) -> None:
    rng = np.random.default_rng(3)
    weights = np.array([0.1] * 10 + [0.0])
    assert all(10 not in resampled(weights, scheme, rng) for _ in range(300))


def test_only_multinomial_can_drop_a_particle_that_weighs_its_share() -> None:
    rng = np.random.default_rng(2)
    even = np.full(8, 1 / 8)
    for scheme in ("systematic", "stratified", "residual"):
        assert resampled(even, scheme, rng).tolist() == list(range(8))
    assert any(len(set(resampled(even, "multinomial", rng).tolist())) < 8 for _ in range(9))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_scheme_that_is_set_is_the_one_that_draws(
    scheme: Scheme, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []

    def spy(weights: object, scheme: Scheme, rng: object) -> np.ndarray:
        used.append(scheme)
        return np.arange(2)

    monkeypatch.setattr(particles, "resampled", spy)
    plan = Particles(ParticleFilter(n=2, resample=scheme, threshold=1.0), "q")
    tell(plan, 0.9, 0.1)
    plan.ask()
    assert used == [scheme]


def tell(plan: Particles, *scores: float, ended: bool = False) -> None:
    """Ask for a step of each particle, and tell these scores."""
    paths = plan.ask()
    assert paths is not None
    for path, score in zip(paths, scores, strict=True):
        plan.tell(path, Node(score=score, has_ended=ended, text=str(path)))


def test_what_a_score_says_is_a_setting() -> None:
    assert math.isclose(log_weight_of("step", 0.6, 0.9), math.log(0.6))
    assert math.isclose(log_weight_of("ratio", 0.6, 0.9), math.log(0.6 / 0.9))
    assert math.isclose(log_weight_of("odds", 0.6, 0.9), math.log(0.6 / 0.4))
    assert log_weight_of("ratio", 0.6, None) == math.log(0.6)
    assert log_weight_of("ratio", 0.0, 0.9) == -math.inf
    assert log_weight_of("log", -3.0, None) == -3.0
    assert log_weight_of("log", -3.0, -2.0) == -1.0
    assert log_weight_of("log", math.nan, -2.0) == -math.inf
    assert log_weight_of("log", -math.inf, -math.inf) == -math.inf
    assert math.isfinite(log_weight_of("odds", 1.0, 0.9))
    with pytest.raises(InputError, match=r"score must be a chance in \[0, 1\]"):
        log_weight_of("step", 1.5, 0.9)


def test_ratios_add_up_to_the_last_score() -> None:
    plan = Particles(ParticleFilter(n=2, target="ratio", threshold=0.0), "q")
    tell(plan, 0.5, 0.4)
    tell(plan, 0.7, 0.1)
    tell(plan, 0.6, 0.3, ended=True)
    assert [round(leaf.weight, 12) for leaf in plan.leaves()] == [
        round(0.6 / 0.9, 12),
        round(0.3 / 0.9, 12),
    ]


def test_a_particle_that_has_ended_is_not_weighed_again() -> None:
    plan = Particles(ParticleFilter(n=2, target="odds", threshold=0.0), "q")
    first, second = plan.ask() or ()
    plan.tell(first, Node(score=0.7, has_ended=True))
    plan.tell(second, Node(score=0.6))
    for step in range(5):
        (path,) = plan.ask() or ()
        plan.tell(path, Node(score=0.6, has_ended=step == 4))
    assert plan.ask() is None
    weights = {leaf.path[0]: leaf.weight for leaf in plan.leaves()}
    assert math.isclose(weights[1] / weights[0], (0.6 / 0.4) ** 6 / (0.7 / 0.3))


def test_nothing_is_drawn_by_weight_after_the_last_step() -> None:
    """A choice by weight would count it twice: .94 for .80."""
    plan = Particles(ParticleFilter(n=2, target="step", threshold=1.0), "q")
    tell(plan, 0.8, 0.2, ended=True)
    assert plan.ask() is None
    assert [leaf.weight for leaf in plan.leaves()] == pytest.approx([0.8, 0.2])


def test_copies_of_a_particle_have_children_of_their_own() -> None:
    plan = Particles(ParticleFilter(n=4, target="step", threshold=1.0), "q")
    tell(plan, 1.0, 0.0, 0.0, 0.0)
    assert plan.ask() == ((0, 0), (0, 1), (0, 2), (0, 3))


def test_copies_of_an_end_are_one_chain_with_their_weight() -> None:
    plan = Particles(ParticleFilter(n=4, target="step", threshold=1.0), "q")
    first, *others = plan.ask() or ()
    plan.tell(first, Node(score=0.9, has_ended=True))
    for path in others:
        plan.tell(path, Node(score=0.05))
    for path in plan.ask() or ():
        plan.tell(path, Node(score=0.05, has_ended=True))
    leaves = plan.leaves()
    assert len({leaf.path for leaf in leaves}) == len(leaves)
    assert leaves[0].path == (0,)
    assert math.isclose(sum(leaf.weight for leaf in leaves), 1.0)


def test_where_all_have_come_to_nothing_all_weigh_the_same() -> None:
    plan = Particles(ParticleFilter(n=2, target="step", threshold=1.0), "q")
    tell(plan, 0.0, math.nan)
    tell(plan, 0.0, 0.0, ended=True)
    assert [leaf.weight for leaf in plan.leaves()] == [0.5, 0.5]
    assert plan.log_evidence == -math.inf
    assert normalised(np.array([-math.inf, 0.0])).tolist() == [0.0, 1.0]


def test_annealing_draws_by_flatter_weights_and_keeps_the_rest() -> None:
    plain = Particles(ParticleFilter(n=4, target="step", threshold=1.0), "q")
    flat = Particles(ParticleFilter(n=4, target="step", threshold=1.0, anneal=8), "q")
    for plan in (plain, flat):
        tell(plan, 0.9, 0.001, 0.001, 0.001)
        plan.ask()
    rest = {round(particle.log_weight, 6) for particle in plain._particles}
    assert rest == {0.0}
    assert any(particle.log_weight != 0.0 for particle in flat._particles)
