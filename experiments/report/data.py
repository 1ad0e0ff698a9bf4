"""What a report shows of one run: numbers and texts, gathered once and graded already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nbest.experiments.analysis.bias_notes import run_notes
from nbest.experiments.analysis.curves.exact import (
    Curve,
    any_curves,
    curve_of,
    ended,
    graded_cases,
    one_curves,
    smallest_pool,
)
from nbest.experiments.analysis.curves.of_run import (
    powers_of_two,
    sampling_notes,
    selector_curves,
)
from nbest.experiments.analysis.paired import paired_sentences
from nbest.experiments.analysis.replay.adaptive import ReplayedAdaptive
from nbest.experiments.analysis.replay.replay import Replay, replay_cases
from nbest.experiments.analysis.rows import Row, baseline_rows, selector_row
from nbest.experiments.analysis.unlabelled import Agreement, agreements, share_warnings
from nbest.experiments.questions.reading import ReadingNames
from nbest.experiments.report.duels import Duel, QuestionVerdicts, duels, verdicts
from nbest.experiments.report.questions import QuestionShown, best, contested, worst
from nbest.experiments.runs.cases import Case, cases_of, named_scorer, reading_of, selectors_of
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath, run_name
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.sampler import usage_of
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Usage
from nbest.scorers.estimators.risk_coverage import RiskPoint, risk_coverage

SHOWN_QUESTIONS = 8  # of each sort: best, worst, most contested
REPLAYED = 40_000  # orders of all questions together
FEWEST_SHUFFLES, MOST_SHUFFLES = 4, 20  # of a question
FEWEST_SAMPLES = 4  # of a question: with fewer there is nothing to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """An accuracy, and what it costs."""

    name: str
    tokens: float  # a question: generated, and what verifiers and judges read and wrote
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What the report shows of one run."""

    name: str
    model: str
    outcomes: Mapping[str, Mapping[str, int]]  # by strategy: how many questions ended how
    rows: tuple[Row, ...]  # a selector each
    baselines: tuple[Row, ...]
    curves: tuple[Curve, ...]  # baselines first
    ks: tuple[int, ...]
    spendings: tuple[Spending, ...]  # of each selector with k samples, of the adaptive vote
    num_graded: int  # questions
    num_replayed: int  # the graded ones; where there are none, all
    usage: Usage  # of all samples
    risk: Mapping[str, tuple[RiskPoint, ...]]  # by selector
    replay: Replay | None  # of the default adaptive strategy
    warnings: tuple[str, ...]  # of the watch: on accuracies, without gold answers on vote shares
    paired: tuple[str, ...]  # what each selector wins over the first
    notes: tuple[str, ...]  # what is estimated and how well, what is biased, which selectors fail
    verdicts: tuple[QuestionVerdicts, ...]  # the first questions where the selectors differ
    duels: tuple[Duel, ...]  # each pair of selectors
    agreements: tuple[Agreement, ...]  # the same, without gold answers
    best: tuple[QuestionShown, ...]
    worst: tuple[QuestionShown, ...]
    contested: tuple[QuestionShown, ...]


def run_report(
    run: StrPath,
    selectors: Sequence[str] | None = None,
    shown: int = SHOWN_QUESTIONS,  # of each sort
    tell: Callable[[str], None] = lambda line: None,
    by: ReadingNames | None = None,
) -> RunReport:
    """Gather a report, by default for the run's selectors; `tell` gets a line about each step."""
    reader, label = RunReader(run), run_name(run)
    scorers = {name: named_scorer(name, run) for name in selectors or selectors_of(reader)}
    tell(f"{label}: {len(reader.query_ids):,} questions, chosen by {', '.join(scorers)}")
    cases = cases_of(reader, reading_of(reader, *_names(by)), scorers.values())
    graded = graded_cases(cases)
    rows = wait_for(_rows(scorers, cases))
    working = {row.select: scorers[row.select] for row in rows if row.failed == 0}
    largest = smallest_pool(graded)
    ks = powers_of_two(largest) if graded else ()
    tell(f"{label}: drawing the curves of {len(working)} selectors to k={largest}, and replaying")
    measured = selector_curves(working, graded, ks, largest) if graded else {}
    curves = [curve for curve, _ in measured.values()]
    pools = graded or [ended(case) for case in cases]
    replayed = _replay(pools)
    usage = usage_of([sample for case in cases for sample in case.candidates.samples])
    return RunReport(
        name=label,
        model=_model(reader),
        outcomes=_outcomes(reader),
        rows=tuple(rows),
        baselines=baseline_rows(cases),
        curves=(*_baselines(graded, largest), *curves),
        ks=ks,
        spendings=_spendings(rows, curves, ks, usage, replayed),
        num_graded=len(graded),
        num_replayed=len(pools),
        usage=usage,
        risk={row.select: points for row in rows if (points := _risk(row))},
        replay=replayed,
        verdicts=verdicts(rows, graded),
        duels=duels(rows) if graded else (),
        agreements=() if graded else agreements(rows),
        warnings=_warnings(measured) if graded else wait_for(share_warnings(working, pools)),
        paired=tuple(paired_sentences(rows)),
        notes=(*sampling_notes(curves), *run_notes(reader), *_failures(rows)),
        best=best(graded, shown),
        worst=worst(graded, shown),
        contested=contested(cases, shown),
    )


def _warnings(curves: Mapping[str, tuple[Curve, str]]) -> tuple[str, ...]:
    """The warnings of the watch, by the names of their selectors."""
    return tuple(f"{name}: {warning}" for name, (_, warning) in curves.items() if warning)


def _failures(rows: Sequence[Row]) -> tuple[str, ...]:
    return tuple(
        f"{row.select} fails at {row.failed:,} of {row.failed + row.n_queries:,} questions "
        f"and has no curve: {row.failure}"
        for row in rows
        if row.failed
    )


def _outcomes(run: RunReader) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for record in run.records():
        counts.setdefault(record.strategy, Counter())[record.outcome.value] += 1
    return {strategy: dict(ends.most_common()) for strategy, ends in counts.items()}


def _baselines(graded: Sequence[Case], largest: int) -> tuple[Curve, ...]:
    if not graded:
        return ()
    return (
        curve_of("one sample", one_curves(graded, largest)),
        curve_of("any right", any_curves(graded, largest)),
    )


async def _rows(scorers: dict[str, Scorer], cases: Sequence[Case]) -> list[Row]:
    """The rows of the selectors that can be applied without an engine."""
    rows = []
    for name, scorer in scorers.items():
        try:
            rows.append(await selector_row(name, scorer, cases))
        except InputError:  # it wants log-probabilities, or a model, that the run has not
            continue
    return rows


def _names(by: ReadingNames | None) -> tuple[str | None, str | None, str | None]:
    return (by.extract, by.grade, by.equivalence) if by else (None, None, None)


def _model(run: RunReader) -> str:
    """The name of the model, or of its backend."""
    model = run.manifest.config.get("model")
    if not isinstance(model, dict):
        return "imported"
    return str(model.get("model", model.get("backend", "")))


def _spendings(
    rows: Sequence[Row],
    curves: Sequence[Curve],
    ks: Sequence[int],
    usage: Usage,
    replayed: Replay | None,
) -> tuple[Spending, ...]:
    tokens = usage.generated_tokens / max(1, usage.samples)
    extra = {row.select: row.scorer_tokens / max(1, row.n_samples) for row in rows}
    points = [
        Spending(
            name=curve.name,
            tokens=k * (tokens + extra.get(curve.name, 0.0)),
            accuracy=curve.mean[k - 1],
        )
        for curve in curves
        for k in ks
    ]
    if replayed is not None:
        name = "adaptive vote"
        points.append(Spending(name=name, tokens=replayed.tokens, accuracy=replayed.accuracy))
    return tuple(points)


def pareto_front(points: Sequence[Spending]) -> list[Spending]:
    """Keep the points that no other beats with fewer tokens, the cheapest first."""
    front: list[Spending] = []
    for point in sorted(points, key=lambda p: (p.tokens, -p.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def _risk(row: Row) -> tuple[RiskPoint, ...]:
    confidence = [value for value, _ in row.answered]
    right = [is_right for _, is_right in row.answered]
    return tuple(risk_coverage(confidence, right, row.n_graded)) if right else ()


def _replay(cases: Sequence[Case]) -> Replay | None:
    largest = smallest_pool(cases)
    if largest < FEWEST_SAMPLES:
        return None
    shuffles = min(MOST_SHUFFLES, max(FEWEST_SHUFFLES, REPLAYED // len(cases)))
    return replay_cases(cases, ReplayedAdaptive(), min(largest, 64), shuffles)
