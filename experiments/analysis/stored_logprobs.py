"""Whether a run kept the log-probabilities that a scorer reads."""

from __future__ import annotations

from collections.abc import Sequence

from nbest.experiments.runs.case import Case
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Scorer


class LogprobsNeeded:
    """Says whether samples have the log-probabilities that a scorer reads."""

    def __init__(self, name: str, scorer: Scorer) -> None:
        self._name = name
        self._needed = scorer.needs_logprobs
        self._num_cases = 0
        self._stored_k: int | None = None  # the most of any sample; None: no sample has any

    def add(self, case: Case) -> None:
        self._num_cases += 1
        has_enough = self._stored_k is not None and self._stored_k >= (self._needed or 0)
        if self._needed is None or has_enough:
            return
        for sample in case.candidates.samples:
            if sample.logprobs is not None:
                k = 0 if sample.top_logprobs is None else sample.top_logprobs.k
                self._stored_k = max(self._stored_k or 0, k)

    def require(self) -> None:
        """Raise InputError where they have none, or none of so many tokens."""
        if self._needed is None or not self._num_cases:
            return
        again = f"sample it again with sampling.logprobs: {self._needed}"
        again += ", or import them with the samples (docs/pools.md)"
        if self._stored_k is None:
            raise InputError(
                f"{self._name} needs log-probabilities, and this run kept none: {again}"
            )
        if self._stored_k < self._needed:
            raise InputError(
                f"{self._name} needs those of the {self._needed} likeliest tokens, "
                f"and this run kept {self._stored_k}: {again}"
            )


def require_logprobs(name: str, scorer: Scorer, cases: Sequence[Case]) -> None:
    """Raise InputError where the samples lack the log-probabilities that a scorer reads."""
    needed = LogprobsNeeded(name, scorer)
    for case in cases:
        needed.add(case)
    needed.require()
