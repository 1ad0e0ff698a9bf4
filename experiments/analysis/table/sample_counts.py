"""What became of the samples of a run: it stands wherever an accuracy does."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass

from nbest.orchestrator.types import Candidates, Status

MANY = 0.05  # the share from which a line says what to do


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCounts:
    """How many samples ended in which way; each counts once."""

    answered: int = 0  # ended well, and hold an answer that could be read
    no_answer: int = 0  # ended well, without one
    cut_off: int = 0  # reached sampling.max_tokens
    failed: int = 0
    aborted: int = 0  # ended by us, before their end

    @property
    def total(self) -> int:
        return self.answered + self.no_answer + self.cut_off + self.failed + self.aborted

    def as_json(self) -> dict[str, int]:
        return {"total": self.total, **asdict(self)}

    def sentences(self) -> list[str]:
        """Account for all samples in a line, and say what to do where many are lost."""
        if not self.total:
            return []
        words = {
            "with an answer": self.answered,
            "without one": self.no_answer,
            "cut off": self.cut_off,
            "failed": self.failed,
            "aborted": self.aborted,
        }
        parts = [f"{count:,} {word}" for word, count in words.items() if count]
        lines = [f"{self.total:,} samples: {', '.join(parts)}"]
        if self.cut_off > MANY * self.total:
            share = f"{self.cut_off / self.total:.0%}"
            lines.append(f"{share} of the samples were cut off: raise sampling.max_tokens")
        if self.no_answer > MANY * self.total:
            share = f"{self.no_answer / self.total:.0%}"
            lines.append(f"{share} of the samples hold no answer that `extract` can read")
        return lines


class SampleCounter:
    """Counts samples, query by query."""

    def __init__(self) -> None:
        self._counts = Counter[str]()

    def add(self, candidates: Candidates) -> None:
        """Count the samples of one query."""
        pairs = zip(candidates.samples, candidates.answers, strict=True)
        self._counts.update([_kind(sample.status, answer) for sample, answer in pairs])

    def counts(self) -> SampleCounts:
        """How many samples ended in which way, so far."""
        return SampleCounts(**self._counts)


_KINDS = {
    Status.TRUNCATED: "cut_off",
    Status.CANCELLED: "aborted",
    Status.UNPARSEABLE: "no_answer",
}


def _kind(status: Status, answer: str | None) -> str:
    if status is Status.OK:
        return "no_answer" if answer is None else "answered"
    return _KINDS.get(status, "failed")
