"""Plain answers before repaired ones, which may agree with them and decide nothing alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.sandboxes.processes import read_soon
from nbest.scorers.structured.extract import MAX_CHARACTERS
from nbest.scorers.structured.reading import read_json


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainFirst:
    """Scores by another selector, without repaired answers that no plain one agrees with.

    A text whose JSON had to be repaired counts where it gives the same answer as a text that needed
    none, or where all texts needed it.

    Example: `PlainFirst(by=MajorityVote())`
    """

    by: Scorer

    @property
    def needs_logprobs(self) -> int | None:
        return self.by.needs_logprobs

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        answers = await plain_answers(candidates)
        return await self.by(query, replace(candidates, answers=answers))


async def plain_answers(candidates: Candidates) -> tuple[str | None, ...]:
    """[N] the answers that a plain text gives; all of them where no plain text gives any."""
    pairs = list(zip(candidates.samples, candidates.answers, strict=True))
    texts = [sample.text for sample, answer in pairs if answer is not None]
    mended = await read_soon(is_mended, texts)
    plain = {answer for s, answer in pairs if answer is not None and not mended[s.text]}
    if not plain:
        return candidates.answers
    return tuple(answer if answer in plain else None for answer in candidates.answers)


def is_mended(text: str) -> bool:
    """Whether the JSON in a text has to be repaired to be read."""
    reading = read_json(text) if len(text) <= MAX_CHARACTERS else None
    return reading is not None and reading.layer == "repaired"
