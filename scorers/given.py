"""What a person chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from nbest.orchestrator.types import Candidates, Query, Scores


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
