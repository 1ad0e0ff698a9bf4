"""What an uncertainty is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from nbest.orchestrator.types import Candidates, Query


@runtime_checkable
class Uncertainty(Protocol):
    """Says how unsure the samples of a question leave its answer.

    1. Returns one number, the higher the less sure; nan where the samples say nothing, as where
       none holds an answer. Numbers of one uncertainty are compared with each other alone.
    2. The order of the samples changes nothing.
    3. `needs_logprobs` says how many log-probabilities a token it reads, as of a scorer.
    4. Answers that mean the same have been merged: equal texts in `candidates.answers`.
    """

    @property
    def needs_logprobs(self) -> int | None: ...

    async def __call__(self, query: Query, candidates: Candidates) -> float: ...
