"""A search replayed on the steps that a run holds: what another one would have come to.

Where it wants a step that was never drawn, it says so and guesses nothing: those questions are not
part of its figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from nbest.experiments.analysis.accuracy import accuracy_of
from nbest.experiments.config.plugins import build_scorer
from nbest.experiments.config.search import PLANS, build_plan
from nbest.experiments.language.expressions import parse_expression
from nbest.experiments.questions.reading import Reading
from nbest.experiments.runs.cases import (
    Case,
    each_case,
    reading_of,
    selectors_of,
    with_models_of,
)
from nbest.experiments.runs.chains import drawn_samples, tree_of
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.query.selection import select
from nbest.orchestrator.requirements import require
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.strategies.search.plan import PlanSettings
from nbest.orchestrator.strategies.search.search import Search
from nbest.orchestrator.tasks import wait_for


def is_search(text: str) -> bool:
    """Whether an expression names a search over steps."""
    return parse_expression(text).name in PLANS.names()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchReplay:
    """What a search comes to on stored steps; nan for what nobody knows.

    Means are over the questions of which all steps are stored, the accuracy over those of them that
    are graded, with a 95% interval.
    """

    search: str
    questions: int
    complete: int  # questions of which all steps are stored
    missing: int  # steps at least that are not
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
        """Say what the search comes to, and what is missing."""
        lines = [f"{self.search}: {self.complete:,} of {self.questions:,} questions are complete"]
        if self.missing:
            lines.append(f"{self.missing:,} steps or more were never drawn: those questions wait")
        if not self.complete:
            return lines
        known = f"accuracy {self.accuracy:.3f} ({self.low:.2f} to {self.high:.2f})"
        lines.append("accuracy is not known" if math.isnan(self.accuracy) else known)
        lines.append(
            f"an answer in {self.answered:.1%}, {self.chains:.1f} chains and {self.tokens:,.0f} "
            "generated tokens a question"
        )
        return lines


def replay_search(
    run: StrPath,
    text: str,
    extract: str | None = None,
    grade: str | None = None,
    equivalence: str | None = None,
) -> SearchReplay:
    """Grow the trees of a searched run by another search: `beam(width=2)`, `rebase(n=8)`.

    Its steps, its scorer and its n are those of the run; the first selector of the run chooses.
    """
    reader = RunReader(run)
    drawn_by = tree_of(reader)
    rule = "hold the steps of a search (strategy.search)"
    is_searched = isinstance(drawn_by, Search)
    require(is_searched, "run", f"{rule}; this one has whole answers", reader.shown_path)
    assert isinstance(drawn_by, Search)
    selector = build_scorer(selectors_of(reader)[0])
    search = replace(drawn_by, plan=_plan(text, drawn_by), select=selector)
    reading = reading_of(reader, extract, grade, equivalence)
    return wait_for(_replayed(reader, with_models_of(search, run), reading, text))


def _plan(text: str, drawn_by: Search) -> PlanSettings:
    """The plan that the text names, of as many chains as the run's unless it says how many."""
    expression = parse_expression(text)
    n = expression.arguments.get("n", drawn_by.n)
    if type(n) is not int:
        raise InputError(f"n must be a whole number, got {n!r}")
    return build_plan(expression, {**expression.arguments, "n": n})


async def _replayed(reader: RunReader, search: Search, reading: Reading, text: str) -> SearchReplay:
    cases = [case async for case in each_case(reader, reading, tree=search)]
    worths = []
    answered = 0
    for case in cases:
        answer = (await select(case.query, case.candidates, search.select)).answer
        answered += answer is not None
        if case.is_graded:
            worths.append(0.0 if answer is None else case.verdicts[answer])
    known = [worth for worth in worths if not math.isnan(worth)]
    accuracy = accuracy_of(known)
    return SearchReplay(
        search=text,
        questions=len(reader.query_ids),
        complete=len(cases),
        missing=await _missing_steps(reader, search, cases),
        accuracy=accuracy.mean if known else math.nan,
        low=accuracy.low,
        high=accuracy.high,
        answered=_share(answered, len(cases)),
        chains=_share(sum(len(case.candidates) for case in cases), len(cases)),
        tokens=_share(sum(case.tokens for case in cases), len(cases)),
    )


async def _missing_steps(reader: RunReader, search: Search, cases: Sequence[Case]) -> int:
    """The steps at least that the other questions lack."""
    complete = {case.query.id for case in cases}
    stored = reader.stored_samples()
    others = [query for query in reader.queries if query.id not in complete]
    return sum([(await drawn_samples(query, stored, search)).missing for query in others])


def _share(count: float, of: int) -> float:
    return count / of if of else math.nan
