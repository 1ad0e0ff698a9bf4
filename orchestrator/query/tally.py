"""Counts: what the queries of a process came to, and what samples cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from nbest.orchestrator.types import Sample, Status, Usage


@dataclass(slots=True, kw_only=True)
class Tally:
    """The running counts of one process."""

    queries: int = 0  # that came to an end, errors included
    errors: int = 0  # of queries
    quarantined: int = 0  # of queries
    samples_drawn: int = 0  # from an engine, in this run of the command
    samples_reused: int = 0  # from the store
    # Of samples_drawn, whole answers to questions: neither steps of a tree, nor calls of scorers.
    answers_drawn: int = 0
    answers_cut_off: int = 0
    answers_failed: int = 0
    answers_aborted: int = 0
    generated_tokens: int = 0  # of samples_drawn
    cancelled_tokens: int = 0  # of generated_tokens, those of aborted samples
    # Of generated_tokens, those of samples that an engine which died had begun before. At most this
    # much work was lost: how far the engine had come dies with it.
    regenerated_tokens: int = 0

    def __iadd__(self, other: Tally) -> Tally:
        for name in (field.name for field in fields(self)):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    def count_answer(self, status: Status) -> None:
        """Count a whole answer that was drawn by how it ended."""
        self.answers_drawn += 1
        self.answers_cut_off += status is Status.TRUNCATED
        self.answers_failed += status is Status.ERROR
        self.answers_aborted += status is Status.CANCELLED


def usage_of(samples: Sequence[Sample]) -> Usage:
    """Sum up what samples cost."""
    prompt = cached = generated = cancelled = 0
    for sample in samples:
        prompt += sample.prompt_tokens
        cached += sample.cached_tokens
        generated += sample.generated_tokens
        if sample.status is Status.CANCELLED:
            cancelled += sample.generated_tokens
    return Usage(
        samples=len(samples),
        prompt_tokens=prompt,
        cached_tokens=cached,
        generated_tokens=generated,
        cancelled_tokens=cancelled,
    )
