"""Plain answers before repaired ones, which may agree with them and decide nothing alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.sandboxes.processes import read_soon
from nbest.scorers.structured.extract import MAX_CHARACTERS
from nbest.scorers.structured.reading import Language, read_json
from nbest.scorers.structured.yaml_reading import typed_yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainFirst:
    """Scores by another selector, without repaired answers that no plain one agrees with.

    A text that had to be repaired counts where it gives the same answer as a text that needed none,
    or where all texts needed it.

    Example: `PlainFirst(by=MajorityVote())`
    """

    by: Scorer
    language: Language = "json"

    @property
    def needs_logprobs(self) -> int | None:
        return self.by.needs_logprobs

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        answers = await plain_answers(candidates, self.language)
        return await self.by(query, replace(candidates, answers=answers))


async def plain_answers(
    candidates: Candidates, language: Language = "json"
) -> tuple[str | None, ...]:
    """[N] the answers that a plain text gives; all of them where no plain text gives any."""
    pairs = list(zip(candidates.samples, candidates.answers, strict=True))
    texts = [sample.text for sample, answer in pairs if answer is not None]
    mended = await read_soon(is_mended, texts, language)
    plain = {answer for s, answer in pairs if answer is not None and not mended[s.text]}
    if not plain:
        return candidates.answers
    return tuple(answer if answer in plain else None for answer in candidates.answers)


def is_mended(text: str, language: Language) -> bool:
    """Whether the value of a text that has one had to be mended to be read."""
    if len(text) > MAX_CHARACTERS:
        return False
    if language == "yaml":  # without a schema nothing but the layer may differ
        reading = typed_yaml(text, None)
        return reading is None or reading.layer == "repaired"
    found = read_json(text)
    return found is not None and found.layer == "repaired"
