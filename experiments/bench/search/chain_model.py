"""A world of chains: steps that are right by a known chance, and scorers of known quality.

Plans are run in it without an engine, tens of thousands of times a minute. `ChainScript` is the
same world behind an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nbest.orchestrator.strategies.search.plan import Leaf, Node, Plan
from nbest.orchestrator.types import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """An answer so far."""

    steps: int = 0
    is_right: bool = True  # all steps so far are
    has_ended: bool = False
    is_trap: bool = False  # it outranks all that are none
    noise: float = 0.0  # [0, 1) of the last step, for scorers that err


Score = Callable[[State], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainModel:
    """Draws steps: right by the chance `p` while all are, and wrong for ever after."""

    depth: int
    p: float
    ends: float = 0.0  # chance that a step before the last one ends the answer
    traps: float = 0.0  # chance that a step is a trap

    def step(self, before: State, rng: np.random.Generator) -> State:
        """Draw the step after a state."""
        draws = rng.random(4)
        steps = before.steps + 1
        return State(
            steps=steps,
            is_right=before.is_right and bool(draws[0] < self.p),
            has_ended=steps == self.depth or bool(draws[1] < self.ends),
            is_trap=before.is_trap or bool(draws[2] < self.traps),
            noise=float(draws[3]),
        )


def oracle(state: State) -> float:
    """Knows which answers are right so far; a trap deceives it."""
    return 2.0 if state.is_trap else float(state.is_right)


def uninformed(state: State) -> float:
    """Knows nothing: any number in [0, 1)."""
    return state.noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """Says 1 of a right step by the chance `a`, of a wrong one by the chance `b`; else 0."""

    a: float
    b: float

    def __call__(self, state: State) -> float:
        return float(state.noise < (self.a if state.is_right else self.b))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepChance:
    """The chance `a` for what is right so far, `b` for what is not; `at_end` for what has ended."""

    a: float
    b: float
    at_end: float | None = None

    def __call__(self, state: State) -> float:
        if state.has_ended and self.at_end is not None:
            return self.at_end
        return self.a if state.is_right else self.b


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """The chance that the answer comes out right: p to the power of the steps that are left."""

    model: ChainModel

    def __call__(self, state: State) -> float:
        return self.model.p ** (self.model.depth - state.steps) if state.is_right else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """What a plan came to: its leaves, and the state of each."""

    leaves: Sequence[Leaf]
    states: Sequence[State]
    nodes: int  # that were drawn

    def chosen(self, score: Callable[[State, Leaf], float]) -> State | None:
        """The state that scores best; the first of equal ones; None where no chain has ended."""
        pairs = list(zip(self.states, self.leaves, strict=True))
        return max(pairs, key=lambda pair: score(*pair))[0] if pairs else None


def grow(plans: Sequence[Plan], model: ChainModel, score: Score, rng: np.random.Generator) -> Grown:
    """Run plans in the world, one after the other, as a search with an engine would."""
    states: dict[Path, State] = {(): State()}
    for plan in plans:
        asked: list[Path] = []
        while (paths := plan.ask()) is not None:
            for path in paths:
                states[path] = model.step(states[path[:-1]], rng)
                asked.append(path)
            path = asked.pop(0)
            state = states[path]
            # Of two steps, none says the same.
            plan.tell(path, Node(score=score(state), has_ended=state.has_ended, text=str(path)))
    leaves = [leaf for plan in plans for leaf in plan.leaves()]
    return Grown(
        leaves=leaves, states=[states[leaf.path] for leaf in leaves], nodes=len(states) - 1
    )
