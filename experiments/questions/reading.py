"""How the answers of a run are read in its samples, merged by meaning, and graded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, update_wrapper

from nbest.experiments.questions.graders.by_part import QueryGrader
from nbest.experiments.questions.graders.plain import Grader
from nbest.orchestrator.protocols import Equivalence, Extractor

REMEMBERED_TEXTS = 4096
SHORT_CHARS = 500  # a few megabytes at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How answers are read in samples, merged by meaning, and graded."""

    extract: Extractor
    equivalence: Equivalence | None  # None: only equal texts mean the same
    grade: Grader | QueryGrader
    rereads: bool = False  # read the texts even where an answer came with the sample


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingNames:
    """Which parts read, grade and merge answers, by name; None: as in the run's config."""

    extract: str | None = None
    grade: str | None = None
    equivalence: str | None = None


def with_memory(reading: Reading) -> Reading:
    """The reading with an extractor that reads a short text once: models say it again and again.

    One that reads thoughts, too, stays as it is: it says so by an attribute.
    """
    extract = reading.extract
    if getattr(extract, "reads_reasoning", False):
        return reading
    remembered = lru_cache(maxsize=REMEMBERED_TEXTS)(extract)

    def read(text: str) -> str | None:
        return remembered(text) if len(text) <= SHORT_CHARS else extract(text)

    return replace(reading, extract=update_wrapper(read, extract, assigned=(), updated=()))
