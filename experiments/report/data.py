"""What a report shows of one run: numbers and texts, gathered once and graded already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from nbest.experiments.analysis.curves.arms import ArmTable, arm_table
from nbest.experiments.analysis.curves.exact import (
    Curve,
    baseline_curves,
    ended_cases,
    graded_cases,
    powers_of_two,
    smallest_pool,
)
from nbest.experiments.analysis.curves.of_selectors import (
    ScoredPools,
    scored_pools,
    selector_curves,
)
from nbest.experiments.analysis.paired import Line, compared, pair_of, winner_note
from nbest.experiments.analysis.replay.adaptive import ReplayedAdaptive
from nbest.experiments.analysis.replay.figures import Replay
from nbest.experiments.analysis.replay.replay import replay_cases
from nbest.experiments.analysis.table.baselines import BaselineGrading
from nbest.experiments.analysis.table.rows import Row, named_clusters, selector_row
from nbest.experiments.analysis.table.sample_counts import SampleCounts
from nbest.experiments.analysis.unlabelled import Agreement, agreements
from nbest.experiments.questions.reading import ReadingNames
from nbest.experiments.report.duels import Duel, QuestionVerdicts, duels, verdicts
from nbest.experiments.report.facts import RunFacts, run_facts
from nbest.experiments.report.headline import Headline, headline_of
from nbest.experiments.report.notes import Watched, notes_of, notes_on_curves, warnings_of, watched
from nbest.experiments.report.questions import ShownQuestions, question_keys, shown_questions
from nbest.experiments.report.right_counts import RightCounts, right_counts
from nbest.experiments.report.spending import Spending, spendings_of
from nbest.experiments.report.strip import Strip, strips
from nbest.experiments.report.thinking import ThinkingCurve, thinking_curves
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import cases_of, reading_of
from nbest.experiments.runs.gold_file import read_gold
from nbest.experiments.runs.selectors import known_scorers
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath, run_name
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.tally import usage_of
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Usage
from nbest.scorers.estimators.calibration import (
    MOST_BINS,
    CalibrationBin,
    calibration_bins,
)
from nbest.scorers.estimators.risk_coverage import RiskPoint, risk_coverage

SHOWN_QUESTIONS = 8  # of each sort: best, worst, most contested
REPLAYED = 40_000  # orders of all questions together
FEWEST_SHUFFLES, MOST_SHUFFLES = 4, 20  # of a question
FEWEST_IN_BIN = 15  # answers of a bin of calibration
FEWEST_SAMPLES = 4  # of a question: with fewer there is nothing to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What the report shows of one run."""

    name: str
    path: str  # of the run folder, as it may be shown
    headline: Headline
    facts: RunFacts
    samples: SampleCounts
    outcomes: Mapping[str, Mapping[str, int]]  # by strategy: how many questions ended how
    rows: tuple[Row, ...]  # a selector each
    baselines: tuple[Row, ...]
    curves: tuple[Curve, ...]  # baselines first
    ks: tuple[int, ...]
    spendings: tuple[Spending, ...]  # of each selector with k samples, of the adaptive vote
    arms: ArmTable | None  # the arms that drew, by the first selector
    right_counts: RightCounts | None  # of the graded questions
    calibration: tuple[CalibrationBin, ...]  # of the first selector
    strips: tuple[Strip, ...]  # of each selector
    thinking: tuple[ThinkingCurve, ...]  # of the first selector, an arm each; none without thoughts
    num_graded: int  # questions
    num_ended: int  # questions with a sample that ended
    usage: Usage  # of all samples
    replay: Replay | None  # of the default adaptive strategy
    watched: Watched  # selectors that the watch can say something of
    warnings: tuple[str, ...]  # of the watch: on accuracies, without gold answers on vote shares
    lines: tuple[Line, ...]  # each selector after the first against the first
    notes: tuple[str, ...]  # what is estimated and how well, what is biased, which selectors fail
    verdicts: tuple[QuestionVerdicts, ...]  # the first questions where the selectors differ
    duels: tuple[Duel, ...]  # each pair of selectors
    agreements: tuple[Agreement, ...]  # the same, without gold answers
    shown: ShownQuestions
    questions: Mapping[str, int]  # by id: a number that says what is asked and what is right

    @property
    def paired(self) -> tuple[str, ...]:
        """What each selector wins over the first, in a sentence each, and a word on the best."""
        return (*(line.sentence() for line in self.lines), *winner_note(self.rows))

    @property
    def has_curves(self) -> bool:
        """Whether there is an accuracy to draw: a right answer is known, and a sample has one."""
        return bool(self.num_graded and self.samples.answered)

    @property
    def num_replayed(self) -> int:
        """The graded questions; where there are none, all."""
        return self.num_graded or self.num_ended

    @property
    def risk(self) -> dict[str, tuple[RiskPoint, ...]]:
        """The risk against coverage of each selector that has graded answers."""
        return {row.select: points for row in self.rows if (points := _risk(row))}


def run_report(
    run: StrPath,
    selectors: Sequence[str] | None = None,
    shown: int = SHOWN_QUESTIONS,  # of each sort
    tell: Callable[[str], None] = lambda line: None,
    by: ReadingNames | None = None,
) -> RunReport:
    """Gather a report, by default for the run's selectors; `tell` gets a line about each step."""
    reader, label = RunReader(run), run_name(run)
    scorers, left_out = known_scorers(selectors, reader)
    tell(f"{label}: {len(reader.query_ids):,} questions, chosen by {', '.join(scorers)}")
    cases = cases_of(reader, reading_of(reader, *_names(by)), scorers.values())
    report = _report_of(reader, scorers, cases, shown, tell)
    return replace(report, notes=(*report.notes, *left_out))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is measured of the selectors that work, at 1 to `ks[-1]` samples."""

    scored: ScoredPools
    curves: tuple[Curve, ...]
    ks: tuple[int, ...]
    pools: Sequence[Case]  # the graded ones; where there are none, all that ended
    replay: Replay | None
    arms: ArmTable | None
    thinking: tuple[ThinkingCurve, ...]


def _measured(
    scorers: Mapping[str, Scorer], cases: Sequence[Case], graded: Sequence[Case]
) -> Measured:
    largest = smallest_pool(graded)
    ks = powers_of_two(largest) if graded else ()
    scored = scored_pools(scorers, graded)
    curves = selector_curves(scorers, scored, ks, largest) if graded else {}
    pools = graded or ended_cases(cases)
    arms, thinking = _by_first(scorers, graded)
    return Measured(
        scored=scored,
        curves=tuple(curves.values()),
        ks=ks,
        pools=pools,
        replay=_replay(pools),
        arms=arms,
        thinking=thinking,
    )


def _report_of(
    reader: RunReader,
    scorers: Mapping[str, Scorer],
    cases: Sequence[Case],
    shown: int,
    tell: Callable[[str], None],
) -> RunReport:
    """The report of a run whose cases have been read."""
    label, graded = run_name(reader.path), graded_cases(cases)
    rows, working, lacking = wait_for(_rows(scorers, cases))
    tell(f"{label}: drawing {len(working)} curves to k={smallest_pool(graded)}, and replaying")
    measured = _measured(working, cases, graded)
    curves, ks, replayed = measured.curves, measured.ks, measured.replay
    baselines, samples = _baseline_rows(cases)
    usage = usage_of([sample for case in cases for sample in case.candidates.samples])
    about = notes_on_curves(working, curves, cases, graded, measured.arms)
    return RunReport(
        name=label,
        path=reader.shown_path,
        headline=headline_of(rows, baselines, graded, replayed, samples),
        facts=run_facts(reader, usage, samples),
        samples=samples,
        right_counts=right_counts(graded),
        calibration=_calibration(rows[0]) if rows else (),
        strips=strips(rows, [case.query.id for case in graded]),
        outcomes=_outcomes(reader),
        rows=tuple(rows),
        baselines=baselines,
        curves=(*_baselines(graded), *curves),
        ks=ks,
        spendings=spendings_of(rows, curves, ks, usage, replayed, measured.scored.clusters),
        arms=measured.arms,
        thinking=measured.thinking,
        num_graded=len(graded),
        num_ended=len(measured.pools),
        usage=usage,
        replay=replayed,
        verdicts=verdicts(rows, graded),
        duels=duels(rows) if graded else (),
        agreements=() if graded else agreements(rows),
        warnings=warnings_of(working, measured.scored, measured.pools),
        lines=tuple(compared([pair_of(rows[0], row) for row in rows[1:]])),
        notes=(*notes_of(reader, rows, about), *lacking),
        watched=watched(working, measured.pools),
        shown=shown_questions(cases, graded, shown),
        questions=question_keys(cases, read_gold(reader.path)),
    )


def _by_first(
    scorers: Mapping[str, Scorer], graded: Sequence[Case]
) -> tuple[ArmTable | None, tuple[ThinkingCurve, ...]]:
    """The arms, and accuracy against thought, by the first selector that never fails."""
    if not scorers or not graded:
        return None, ()
    first = next(iter(scorers.items()))
    return arm_table(*first, graded), thinking_curves(*first, graded)


def _baseline_rows(cases: Sequence[Case]) -> tuple[tuple[Row, Row], SampleCounts]:
    grading = BaselineGrading()
    for case in cases:
        grading.add(case)
    return grading.rows(), grading.samples.counts()


def _calibration(row: Row) -> tuple[CalibrationBin, ...]:
    """Whether the confidence of a selector is the share of its answers that are right.

    Nothing where the answers are too few for two bins.
    """
    most = min(MOST_BINS, len(row.answered) // FEWEST_IN_BIN)
    if most < 2:
        return ()
    confidence, is_right = zip(*row.answered, strict=True)
    clusters = named_clusters([choice.cluster for choice in row.given])
    return tuple(calibration_bins(confidence, is_right, most, clusters))


def _baselines(graded: Sequence[Case]) -> tuple[Curve, ...]:
    return baseline_curves(graded, smallest_pool(graded)) if graded else ()


def _outcomes(run: RunReader) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for record in run.records():
        counts.setdefault(record.strategy, Counter())[record.outcome.value] += 1
    return {strategy: dict(ends.most_common()) for strategy, ends in counts.items()}


async def _rows(
    scorers: Mapping[str, Scorer], cases: Sequence[Case]
) -> tuple[list[Row], dict[str, Scorer], tuple[str, ...]]:
    """The rows of the selectors that can be applied without an engine, and those that never fail.

    A line for each of the others says what the run lacks for it.
    """
    rows, lacking = [], []
    for name, scorer in scorers.items():
        try:
            rows.append(await selector_row(name, scorer, cases))
        except InputError as error:  # it wants log-probabilities, or a model, that the run has not
            lacking.append(f"{name} is left out: {error}")
    working = {row.select: scorers[row.select] for row in rows if row.failed == 0}
    return rows, working, tuple(lacking)


def _names(by: ReadingNames | None) -> tuple[str | None, str | None, str | None]:
    return (by.extract, by.grade, by.equivalence) if by else (None, None, None)


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
