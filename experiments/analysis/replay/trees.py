"""A tree replayed on the samples that a run holds: what another strategy would have come to.

Where it wants a sample that was never drawn, it says so and guesses nothing: those questions are
left out of its figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from nbest.experiments.analysis.accuracy import accuracy_of
from nbest.experiments.config.search import PLANS, build_plan
from nbest.experiments.config.threshold import read_threshold
from nbest.experiments.language.expressions import parse_expression
from nbest.experiments.questions.reading import Reading
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import each_case, reading_of
from nbest.experiments.runs.chains import drawn_samples, tree_of
from nbest.experiments.runs.selectors import named_scorer, selectors_of, with_models_of
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.requirements import require
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.strategies.search.corrected import Corrected
from nbest.orchestrator.strategies.search.plan import PlanSettings
from nbest.orchestrator.strategies.search.search import Search
from nbest.orchestrator.tasks import wait_for

CORRECTED = "corrected"
_SETTINGS = ("n", "corrections", "retries")  # of corrected, that a replay may change


def grows_a_tree(text: str) -> bool:
    """Whether an expression names a strategy that grows a tree."""
    return parse_expression(text).name in (*PLANS.names(), CORRECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeReplay:
    """What a strategy comes to on stored samples; nan for what nobody knows.

    Means are over the questions of which all samples are stored, the accuracy over those of them
    that are graded, with a 95% interval.
    """

    strategy: str
    questions: int
    complete: int  # questions of which all samples are stored
    missing: int  # samples at least that are not: steps, corrections, retries
    accuracy: float
    low: float
    high: float
    answered: float  # share of questions; of the others it abstains
    chains: float  # a question, that came to their end
    tokens: float  # a question, generated for its tree

    def as_json(self) -> dict[str, object]:
        """What `--json` prints; nan becomes null, for JSON has none."""
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(self).items()
        }

    def sentences(self) -> list[str]:
        """Say what the strategy comes to, and what is missing."""
        lines = [f"{self.strategy}: {self.complete:,} of {self.questions:,} questions are complete"]
        if self.missing:
            what = f"{self.missing:,} steps, corrections or retries at least"
            lines.append(f"{what} were never drawn: those questions are left out")
        if not self.complete:
            return lines
        known = f"accuracy {self.accuracy:.3f} ({self.low:.2f} to {self.high:.2f})"
        lines.append("accuracy is not known" if math.isnan(self.accuracy) else known)
        lines.append(
            f"an answer in {self.answered:.1%}, {self.chains:.1f} chains and {self.tokens:,.0f} "
            "generated tokens a question"
        )
        return lines


def replay_tree(
    run: StrPath,
    text: str,
    extract: str | None = None,
    grade: str | None = None,
    equivalence: str | None = None,
) -> TreeReplay:
    """Grow the trees of a run by another strategy: `beam(width=2)`, `corrected(retries=0)`.

    Everything that the expression leaves out is as in the run, the first selector of which chooses.
    What `by_field` composes is no part of it: the selector's answer counts.
    """
    reader = RunReader(run)
    drawn_by = tree_of(reader)
    selector = named_scorer(selectors_of(reader)[0], reader)
    sure = _threshold_of(reader)
    tree: Search | Corrected
    if parse_expression(text).name == CORRECTED:
        rule = "hold corrected answers (output, or strategy.corrected)"
        require(isinstance(drawn_by, Corrected), "run", rule, reader.shown_path)
        assert isinstance(drawn_by, Corrected)
        settings = {"select": selector, "min_confidence": sure, **_settings(text)}
        tree = replace(drawn_by, compose=None, **settings)
    else:
        rule = "hold the steps of a search (strategy.search)"
        require(
            isinstance(drawn_by, Search),
            "run",
            f"{rule}; this one has whole answers",
            reader.shown_path,
        )
        assert isinstance(drawn_by, Search)
        tree = replace(drawn_by, plan=_plan(text, drawn_by), select=selector, min_confidence=sure)
    reading = reading_of(reader, extract, grade, equivalence)
    return wait_for(_replayed(reader, with_models_of(tree, reader), reading, text))


def _threshold_of(run: RunReader) -> float:
    """The confidence below which the strategy of a run abstains."""
    section = run.manifest.config.get("strategy")
    said = section.get("min_confidence") if isinstance(section, dict) else None
    return read_threshold(said).share if isinstance(said, str | int | float) else 0.0


def _settings(text: str) -> dict[str, Any]:
    """What an expression as `corrected(n=4, retries=0)` changes."""
    settings: dict[str, Any] = {}
    for key, value in parse_expression(text).named(_SETTINGS).items():
        if key not in _SETTINGS:
            raise InputError(f"corrected has no argument {key!r}: it is one of {_SETTINGS}")
        if type(value) is not int:
            raise InputError(f"{key} must be a whole number, got {value!r}")
        settings[key] = value
    return settings


def _plan(text: str, drawn_by: Search) -> PlanSettings:
    """The plan that the text names, of as many chains as the run's unless it says how many."""
    expression = parse_expression(text, trusted=True)
    n = expression.arguments.get("n", drawn_by.n)
    if type(n) is not int:
        raise InputError(f"n must be a whole number, got {n!r}")
    return build_plan(expression, {**expression.arguments, "n": n})


async def _replayed(
    reader: RunReader, tree: Search | Corrected, reading: Reading, text: str
) -> TreeReplay:
    cases = [case async for case in each_case(reader, reading, tree=tree)]
    worths = []
    answered = 0
    for case in cases:
        answer = (await tree.of_candidates(case.query, case.candidates)).answer
        answered += answer is not None
        if case.is_graded:
            worths.append(0.0 if answer is None else case.verdicts[answer])
    known = [worth for worth in worths if not math.isnan(worth)]
    accuracy = accuracy_of(known)
    return TreeReplay(
        strategy=text,
        questions=len(reader.query_ids),
        complete=len(cases),
        missing=await _missing_samples(reader, tree, cases),
        accuracy=accuracy.mean if known else math.nan,
        low=accuracy.low,
        high=accuracy.high,
        answered=_share(answered, len(cases)),
        chains=_share(sum(len(case.candidates) for case in cases), len(cases)),
        tokens=_share(sum(case.tokens for case in cases), len(cases)),
    )


async def _missing_samples(
    reader: RunReader, tree: Search | Corrected, cases: Sequence[Case]
) -> int:
    """The samples at least that the other questions lack."""
    complete = {case.query.id for case in cases}
    stored = reader.stored_samples()
    others = [query for query in reader.queries if query.id not in complete]
    return sum([(await drawn_samples(query, stored, tree)).missing for query in others])


def _share(count: float, of: int) -> float:
    return count / of if of else math.nan
