"""How the answers of a run are read in its samples, merged by meaning, and graded."""

from __future__ import annotations

from dataclasses import dataclass

from nbest.experiments.questions.graders.by_part import QueryGrader
from nbest.experiments.questions.graders.plain import Grader
from nbest.orchestrator.protocols import Equivalence, Extractor


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
