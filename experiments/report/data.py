"""What a report shows of one run: numbers and texts, gathered once and graded already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nbest.experiments.analysis.bias_notes import run_notes
from nbest.experiments.analysis.case_notes import curve_notes, sampling_notes
from nbest.experiments.analysis.curves.arms import ArmTable, arm_table, best_arm_sentence
from nbest.experiments.analysis.curves.exact import (
    Curve,
    baseline_curves,
    ended_cases,
    graded_cases,
    has_arms,
    powers_of_two,
    smallest_pool,
)
from nbest.experiments.analysis.curves.of_run import may_be_fooled, watch_warnings
from nbest.experiments.analysis.curves.of_selectors import (
    ScoredPools,
    scored_pools,
    selector_curves,
)
from nbest.experiments.analysis.paired import paired_sentences, winner_note
from nbest.experiments.analysis.replay.adaptive import ReplayedAdaptive
from nbest.experiments.analysis.replay.figures import Replay
from nbest.experiments.analysis.replay.replay import replay_cases
from nbest.experiments.analysis.table.baselines import baseline_rows
from nbest.experiments.analysis.table.rows import Row, named_clusters, selector_row
from nbest.experiments.analysis.unlabelled import Agreement, agreements, share_warnings
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.prompts import QUESTION
from nbest.experiments.questions.reading import ReadingNames
from nbest.experiments.report.duels import Duel, QuestionVerdicts, duels, verdicts
from nbest.experiments.report.questions import QuestionShown, best, contested, worst
from nbest.experiments.report.spending import Spending, spendings_of
from nbest.experiments.report.thinking import ThinkingCurve, thinking_curves
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import cases_of, reading_of
from nbest.experiments.runs.gold_file import read_gold
from nbest.experiments.runs.selectors import named_scorer, selectors_of
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath, run_name
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.tally import usage_of
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Usage
from nbest.scorers.estimators.over_optimisation import FEWEST
from nbest.scorers.estimators.risk_coverage import RiskPoint, risk_coverage

SHOWN_QUESTIONS = 8  # of each sort: best, worst, most contested
REPLAYED = 40_000  # orders of all questions together
FEWEST_SHUFFLES, MOST_SHUFFLES = 4, 20  # of a question
FEWEST_SAMPLES = 4  # of a question: with fewer there is nothing to stop


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
    arms: ArmTable | None  # the arms that drew, by the first selector
    thinking: tuple[ThinkingCurve, ...]  # of the first selector, an arm each; none without thoughts
    num_graded: int  # questions
    num_ended: int  # questions with a sample that ended
    usage: Usage  # of all samples
    replay: Replay | None  # of the default adaptive strategy
    watched: Literal["none", "too few", "enough"]  # selectors that the watch can say something of
    warnings: tuple[str, ...]  # of the watch: on accuracies, without gold answers on vote shares
    paired: tuple[str, ...]  # what each selector wins over the first
    notes: tuple[str, ...]  # what is estimated and how well, what is biased, which selectors fail
    verdicts: tuple[QuestionVerdicts, ...]  # the first questions where the selectors differ
    duels: tuple[Duel, ...]  # each pair of selectors
    agreements: tuple[Agreement, ...]  # the same, without gold answers
    best: tuple[QuestionShown, ...]
    worst: tuple[QuestionShown, ...]
    contested: tuple[QuestionShown, ...]
    questions: Mapping[str, int]  # by id: a number that says what is asked and what is right

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
    scorers = {name: named_scorer(name, run) for name in selectors or selectors_of(reader)}
    tell(f"{label}: {len(reader.query_ids):,} questions, chosen by {', '.join(scorers)}")
    cases = cases_of(reader, reading_of(reader, *_names(by)), scorers.values())
    return _report_of(reader, scorers, cases, shown, tell)


def _report_of(
    reader: RunReader,
    scorers: Mapping[str, Scorer],
    cases: Sequence[Case],
    shown: int,
    tell: Callable[[str], None],
) -> RunReport:
    """The report of a run whose cases have been read."""
    label, graded = run_name(reader.path), graded_cases(cases)
    rows, working = wait_for(_rows(scorers, cases))
    largest = smallest_pool(graded)
    ks = powers_of_two(largest) if graded else ()
    tell(f"{label}: drawing {len(working)} curves to k={largest}, and replaying")
    scored = scored_pools(working, graded)
    measured = selector_curves(working, scored, ks, largest) if graded else {}
    curves, pools = list(measured.values()), graded or ended_cases(cases)
    (arms, thinking), replayed = _by_first(working, graded), _replay(pools)
    usage = usage_of([sample for case in cases for sample in case.candidates.samples])
    return RunReport(
        name=label,
        model=_model(reader),
        outcomes=_outcomes(reader),
        rows=tuple(rows),
        baselines=baseline_rows(cases),
        curves=(*_baselines(graded), *curves),
        ks=ks,
        spendings=spendings_of(rows, curves, ks, usage, replayed, scored.clusters),
        arms=arms,
        thinking=thinking,
        num_graded=len(graded),
        num_ended=len(pools),
        usage=usage,
        replay=replayed,
        verdicts=verdicts(rows, graded),
        duels=duels(rows) if graded else (),
        agreements=() if graded else agreements(rows),
        warnings=_warnings(working, scored, pools),
        paired=(*paired_sentences(rows), *winner_note(rows)),
        notes=_notes(reader, rows, _curve_notes(working, curves, cases, graded, arms)),
        watched=_watched(working, pools),
        best=best(graded, shown),
        worst=worst(graded, shown),
        contested=contested(cases, shown),
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


def _baselines(graded: Sequence[Case]) -> tuple[Curve, ...]:
    return baseline_curves(graded, smallest_pool(graded)) if graded else ()


def _warnings(
    scorers: Mapping[str, Scorer], graded: ScoredPools, pools: Sequence[Case]
) -> tuple[str, ...]:
    """What the watch sees: in accuracies, or where there are none in vote shares."""
    if has_arms(pools):  # it takes samples for alike
        return ()
    if graded.cases:
        return watch_warnings(scorers, graded, smallest_pool(graded.cases))
    return wait_for(share_warnings(scorers, pools))


def _watched(
    scorers: Mapping[str, Scorer], pools: Sequence[Case]
) -> Literal["none", "too few", "enough"]:
    """Whether the watch looks at a selector, and has questions, or templates, enough to tell."""
    if has_arms(pools) or not any(map(may_be_fooled, scorers.values())):
        return "none"
    units = named_clusters([case.cluster for case in pools]) or [case.query.id for case in pools]
    return "enough" if len(set(units)) >= FEWEST else "too few"


def _curve_notes(
    scorers: Mapping[str, Scorer],
    curves: Sequence[Curve],
    cases: Sequence[Case],
    graded: Sequence[Case],
    arms: ArmTable | None,
) -> tuple[str, ...]:
    """What is estimated in the curves, unknown, uneven or tied, and what a panel wins."""
    if not graded:
        return ()
    wins = () if arms is None else (best_arm_sentence(arms),)
    return (*wins, *sampling_notes(curves), *curve_notes(scorers, cases, graded))


def question_keys(cases: Sequence[Case], gold: Mapping[str, Gold]) -> dict[str, int]:
    """By id a number for the question and its gold answer, whatever prompt is made of it."""
    keys = {}
    for case in cases:
        asked = case.query.meta.get(QUESTION, case.query.prompt)
        answer = gold.get(case.query.id)
        keys[case.query.id] = hash((str(asked), answer and answer.answer))
    return keys


def same_questions(first: RunReport, other: RunReport) -> dict[str, bool]:
    """Of the ids of both runs, whether they are the same question with the same gold answer."""
    keys = other.questions
    return {key: keys[key] == number for key, number in first.questions.items() if key in keys}


def _notes(run: RunReader, rows: Sequence[Row], about_curves: tuple[str, ...]) -> tuple[str, ...]:
    """What is to be known of the curves, of the run, and of selectors that fail."""
    return (*about_curves, *run_notes(run), *_failures(rows))


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


async def _rows(
    scorers: Mapping[str, Scorer], cases: Sequence[Case]
) -> tuple[list[Row], dict[str, Scorer]]:
    """The rows of the selectors that can be applied without an engine; those that never fail."""
    rows = []
    for name, scorer in scorers.items():
        try:
            rows.append(await selector_row(name, scorer, cases))
        except InputError:  # it wants log-probabilities, or a model, that the run has not
            continue
    return rows, {row.select: scorers[row.select] for row in rows if row.failed == 0}


def _names(by: ReadingNames | None) -> tuple[str | None, str | None, str | None]:
    return (by.extract, by.grade, by.equivalence) if by else (None, None, None)


def _model(run: RunReader) -> str:
    """The name of the model, or of its backend."""
    model = run.manifest.config.get("model")
    if not isinstance(model, dict):
        return "imported"
    return str(model.get("model", model.get("backend", "")))


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
