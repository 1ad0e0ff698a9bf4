"""How much a vote counts by who gives it: a weight for each arm of a panel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query, Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmWeight:
    """Scores a candidate by the weight of the arm that drew it.

    Within a weighted vote, an ensemble of models or prompts: the votes of the better ones count
    for more. `nbest fit-weights` fits the weights.

    Example: `WeightedVote(by=ArmWeight(weights={"small": 1, "large": 3}))`
    """

    needs_logprobs: ClassVar[int | None] = None
    is_pointwise: ClassVar[bool] = True

    weights: Mapping[str, float] = field(hash=False)  # by name of the arm

    def __post_init__(self) -> None:
        require(bool(self.weights), "weights", "name the arms of a panel", self.weights)
        fit = all(0 < weight < math.inf for weight in self.weights.values())
        require(fit, "weights", "be above 0 and finite", self.weights)

    @property
    def score_bounds(self) -> tuple[float, float]:
        """The least and the greatest weight."""
        return min(self.weights.values()), max(self.weights.values())

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        arms = [sample.arm for sample in candidates.samples]
        unknown = [arm for arm in arms if arm not in self.weights]
        if unknown:
            name = repr(unknown[0]) if unknown[0] else "a sample that no arm has drawn"
            raise InputError(f"weights must name all arms, and {name} is not in {self.weights!r}")
        return np.array([self.weights[arm] for arm in arms], np.float64)
