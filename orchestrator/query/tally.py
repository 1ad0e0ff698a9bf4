"""The running counts of one process: what its queries came to, and what that cost."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True, kw_only=True)
class Tally:
    """The running counts of one process."""

    queries: int = 0  # that came to an end, errors included
    errors: int = 0  # of queries
    quarantined: int = 0  # of queries
    samples_drawn: int = 0  # from an engine, in this run of the command
    samples_reused: int = 0  # from the store
    generated_tokens: int = 0  # of samples_drawn
    cancelled_tokens: int = 0  # of generated_tokens, those of aborted samples
    # Of generated_tokens, those of samples that an engine which died had begun before. At most this
    # much work was lost: how far the engine had come dies with it.
    regenerated_tokens: int = 0

    def __iadd__(self, other: Tally) -> Tally:
        for name in (field.name for field in fields(self)):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self
