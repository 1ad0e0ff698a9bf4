"""Choices and scores that others made: a person, or another program's verifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Candidates, Query, Scores, require


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChoice:
    """Scores 1.0 the sample that a person chose, by its id, and nan all others.

    A question that nobody has decided is abstained from. `nbest pick` makes the choices, and
    `nbest select --select user` reads those of its run.
    """

    needs_logprobs: ClassVar[int | None] = None

    chosen: Mapping[str, str] = field(default_factory=dict)  # sample id by query id

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        wanted = self.chosen.get(query.id)
        flags = [wanted is not None and sample.id == wanted for sample in candidates.samples]
        return np.where(np.array(flags, np.bool_), 1.0, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScore:
    """Scores a candidate by the number that is stored of it under a name; nan where there is none.

    Example: `WeightedVote(by=StoredScore(name="verifier"))` on a run that `nbest import` has made
    """

    needs_logprobs: ClassVar[int | None] = None
    is_pointwise: ClassVar[bool] = True

    name: str

    def __post_init__(self) -> None:
        require(bool(self.name), "name", "be that of stored scores", self.name)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        found = candidates.scores.get(self.name)
        if found is None:
            there = ", ".join(sorted(candidates.scores)) or "none"
            rule = f"be that of scores which the run holds ({there})"
            raise InputError(f"name must {rule}, got {self.name!r}")
        return np.array(found, np.float64)
