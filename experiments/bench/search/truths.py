"""Searches simulated beside what they win in closed form: a line for each.

The best known of these says the most: scores that know nothing must win nothing, whatever the
strategy. It fails for any leak of an answer, a length or an order into the choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from nbest.experiments.bench.search import closed_forms as forms
from nbest.experiments.bench.search.chain_model import (
    Binary,
    ChainModel,
    Grown,
    Score,
    State,
    StepChance,
    Value,
    grow,
    oracle,
    uninformed,
)
from nbest.orchestrator.strategies.search.best_first import UCT, BestFirst
from nbest.orchestrator.strategies.search.levels import DVTS, Beam, Rebase
from nbest.orchestrator.strategies.search.particles import (
    SCHEMES,
    TARGETS,
    ParticleFilter,
    Particles,
)
from nbest.orchestrator.strategies.search.plan import Leaf, PlanSettings

D, P = 8, 0.8  # steps of an answer, and the chance that one is right
A, B = 0.9, 0.3  # what a scorer says of right and of wrong steps
MODEL = ChainModel(depth=D, p=P)
MOST_ERRORS = 4.0  # standard errors that a simulation may be off

STRATEGIES: Mapping[str, PlanSettings] = {
    "beam": Beam(n=8, width=2),
    "DVTS": DVTS(n=8, width=2),
    "REBASE": Rebase(n=8),
    **{f"filter, {target}": ParticleFilter(n=8, target=target) for target in TARGETS},
    "filter, annealed": ParticleFilter(n=8, target="step", anneal=D),
    "best-first": BestFirst(n=2, width=3, max_nodes=60),
    "UCT": UCT(n=2, width=3, c=0.5, max_nodes=60),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """One figure of a search: what it should be, and what it was in a simulation."""

    name: str
    predicted: float
    simulated: float
    error: float  # standard error of the simulation

    @property
    def standard_errors(self) -> float:
        """How far the simulation is off, in its standard errors."""
        gap = self.simulated - self.predicted
        if self.error > 0.0:
            return gap / self.error
        return 0.0 if math.isclose(gap, 0.0, abs_tol=1e-12) else math.copysign(math.inf, gap)

    @property
    def holds(self) -> bool:
        """Whether prediction and simulation agree."""
        return abs(self.standard_errors) <= MOST_ERRORS

    def as_json(self) -> dict[str, object]:
        """The line of `--json`."""
        return {
            "name": self.name,
            "predicted": self.predicted,
            "simulated": self.simulated,
            "standard_errors": self.standard_errors,
        }


Figure = Callable[[np.random.Generator, str], float]
"""What one run comes to: 1 for a right answer, say; `str` names the run."""


def truths(runs: int, seed: int) -> Iterator[Truth]:
    """Yield every figure, each over so many runs."""
    for name, predicted, figure in (
        *_perfect(),
        *_uninformed(),
        *_unequal(),
        *_binary(),
        *_filters(),
        *_traps(),
    ):
        rng = np.random.default_rng([seed, len(name), *name.encode()])
        values = np.array([figure(rng, f"{seed}/{run}") for run in range(runs)])
        # Of shares: from the prediction, so that runs which are all right have an error, too.
        is_share = bool(np.isin(values, (0.0, 1.0)).all())
        spread = math.sqrt(predicted * (1 - predicted)) if is_share else float(values.std(ddof=1))
        yield Truth(
            name=name,
            predicted=predicted,
            simulated=float(values.mean()),
            error=spread / math.sqrt(runs),
        )


Line = tuple[str, float, Figure]


def _perfect() -> Iterator[Line]:
    right = partial(_is_right, score=oracle)
    yield "best of 16 by an oracle", forms.best_of_n(P, D, 16), right(Beam(n=16, width=1))
    for width in (2, 4):
        predicted = forms.greedy(P, D, width)
        yield f"greedy steps of {width} by an oracle", predicted, right(Beam(n=width, width=width))
    yield "4 trees of 2 by an oracle", forms.trees(P, D, 2, 4), right(DVTS(n=8, width=2))
    for p, n, width in ((P, 4, 4), (0.5, 8, 4), (0.5, 16, 4), (0.4, 8, 2)):
        name = f"beam n={n}, width={width}, p={p} by an oracle"
        model = ChainModel(depth=D, p=p)
        yield name, forms.beam(p, D, n, width), _is_right(Beam(n=n, width=width), oracle, model)


def _uninformed() -> Iterator[Line]:
    for name, plan in STRATEGIES.items():
        yield f"{name}, scores that know nothing", forms.single(P, D), _is_right(plan, uninformed)
        yield f"{name}, its own weight, nothing known", forms.single(P, D), _is_weighty(plan)


def _unequal() -> Iterator[Line]:
    """Searches that no length of an answer can mislead: those that end with n chains of n begun."""
    ending = ChainModel(depth=D, p=P, ends=0.2)
    predicted = forms.single_with_ends(P, D, ending.ends)
    for name in ("beam", "DVTS", "REBASE", "filter, ratio"):
        plan = STRATEGIES[name]
        yield (
            f"{name}, nothing known, unequal lengths",
            predicted,
            _is_right(plan, uninformed, ending),
        )


def _binary() -> Iterator[Line]:
    for width in (1, 2, 4, 16):
        predicted = forms.greedy_by_binary(P, D, width, A, B)
        plan = Beam(n=width, width=width)
        yield f"greedy steps of {width} by 1 or 0", predicted, _is_right(plan, Binary(a=A, b=B))


def _filters() -> Iterator[Line]:
    z, right = forms.evidence(P, D, A, B), (P * A) ** D
    for scheme in SCHEMES:
        for n, threshold in ((4, 1.0), (16, 0.5)):
            plan = ParticleFilter(n=n, target="step", resample=scheme, threshold=threshold)
            of = f"filter n={n}, {scheme}, threshold {threshold}"
            yield f"{of}: evidence", z, _evidence(plan, MODEL, StepChance(a=A, b=B), False)
            yield f"{of}: of right ones", right, _evidence(plan, MODEL, StepChance(a=A, b=B), True)
    ending = ChainModel(depth=D, p=P, ends=0.2)
    score = StepChance(a=A, b=B, at_end=0.7)
    both = forms.evidence_with_ends(P, D, A, B, ending.ends, 0.7)
    plan = ParticleFilter(n=8, target="step", threshold=1.0)
    for name, predicted, is_right in (
        ("evidence", both[0], False),
        ("of right ones", both[1], True),
    ):
        yield (
            f"filter, chains that end early: {name}",
            predicted,
            _evidence(plan, ending, score, is_right),
        )
    for n in (2, 4):
        predicted = (1.0 - (1.0 - P) ** n) ** D
        exact = ParticleFilter(n=n, target="ratio", threshold=1.0)
        yield f"filter n={n} by exact values", predicted, _is_weighty(exact, Value(model=MODEL))


def _traps() -> Iterator[Line]:
    for n, e in ((16, 0.005), (64, 0.005)):
        model = ChainModel(depth=D, p=P, traps=e)
        yield f"no trap in a beam of {n}", (1.0 - e) ** (n * D), partial(_no_trap, n, model)


def _grown(
    plan: PlanSettings, model: ChainModel, score: Score, rng: np.random.Generator, key: str
) -> Grown:
    return grow(plan.plans(key), model, score, rng)


def _is_right(plan: PlanSettings, score: Score, model: ChainModel = MODEL) -> Figure:
    """Whether the chain that scores best at its end is right."""

    def figure(rng: np.random.Generator, key: str) -> float:
        chosen = _grown(plan, model, score, rng, key).chosen(lambda state, leaf: score(state))
        return float(chosen is not None and chosen.is_right)

    return figure


def _is_weighty(plan: PlanSettings, score: Score = uninformed) -> Figure:
    """Whether the chain that the search itself gives most weight is right."""

    def figure(rng: np.random.Generator, key: str) -> float:
        chosen = _grown(plan, MODEL, score, rng, key).chosen(_weight)
        return float(chosen is not None and chosen.is_right)

    return figure


def _weight(state: State, leaf: Leaf) -> float:
    return leaf.weight


def _evidence(settings: ParticleFilter, model: ChainModel, score: Score, of_right: bool) -> Figure:
    """The estimate of the evidence, of all answers or of the right ones."""

    def figure(rng: np.random.Generator, key: str) -> float:
        plan = Particles(settings, key)
        grown = grow([plan], model, score, rng)
        z = math.exp(plan.log_evidence)
        if not of_right:
            return z
        pairs = zip(grown.leaves, grown.states, strict=True)
        return z * sum(leaf.weight for leaf, state in pairs if state.is_right)

    return figure


def _no_trap(n: int, model: ChainModel, rng: np.random.Generator, key: str) -> float:
    chosen = _grown(Beam(n=n, width=4), model, oracle, rng, key).chosen(
        lambda state, leaf: oracle(state)
    )
    return float(chosen is not None and not chosen.is_trap)
