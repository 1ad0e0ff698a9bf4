"""Choices and scores that others made: a person, or another program's verifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query, Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChoice:
    """Scores 1.0 the sample that a person chose, by its id, and nan all others.

    It abstains where a person has found none of the samples good, and from a question that nobody
    has decided: such a one counts in no table (`has_decided`). `nbest pick` makes the choices, and
    `nbest select --select user` reads those of its run.
    """

    needs_logprobs: ClassVar[int | None] = None

    chosen: Mapping[str, str] = field(default_factory=dict)  # sample id by query id; "": none

    def has_decided(self, query_id: str) -> bool:
        """Whether a person has looked at the question."""
        return query_id in self.chosen

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        chosen_id = self.chosen.get(query.id)
        flags = [chosen_id is not None and s.id == chosen_id for s in candidates.samples]
        return np.where(np.array(flags, np.bool_), 1.0, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScore:
    """Scores a candidate by its number among the stored scores of a name; nan where it has none.

    Example: `WeightedVote(by=StoredScore(name="verifier"))` on a run that `nbest import` has made
    """

    needs_logprobs: ClassVar[int | None] = None
    is_pointwise: ClassVar[bool] = True

    name: str

    def __post_init__(self) -> None:
        require(bool(self.name), "name", "be that of stored scores", self.name)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        scores = candidates.scores.get(self.name)
        if scores is None:
            names = ", ".join(sorted(candidates.scores)) or "none"
            rule = f"be that of scores which the run holds ({names})"
            raise InputError(f"name must {rule}, got {self.name!r}")
        return np.array(scores, np.float64)
