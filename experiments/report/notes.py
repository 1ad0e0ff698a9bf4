"""Notes and warnings of a report: what is estimated, biased, unknown, failing, over-optimised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from nbest.experiments.analysis.bias_notes import run_notes
from nbest.experiments.analysis.case_notes import curve_notes, sampling_notes
from nbest.experiments.analysis.curves.arms import ArmTable, best_arm_sentence
from nbest.experiments.analysis.curves.exact import Curve, has_arms, smallest_pool
from nbest.experiments.analysis.curves.of_run import may_be_fooled, watch_warnings
from nbest.experiments.analysis.curves.of_selectors import ScoredPools
from nbest.experiments.analysis.table.rows import Row, named_clusters
from nbest.experiments.analysis.unlabelled import share_warnings
from nbest.experiments.runs.case import Case
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.tasks import wait_for
from nbest.scorers.estimators.over_optimisation import FEWEST

Watched = Literal["none", "too few", "enough"]
"""Whether there is a selector to watch, and questions enough to say something of it."""


def warnings_of(
    scorers: Mapping[str, Scorer], graded: ScoredPools, pools: Sequence[Case]
) -> tuple[str, ...]:
    """What the watch sees: in accuracies, or where there are none in vote shares."""
    if has_arms(pools):  # it takes samples for alike
        return ()
    if graded.cases:
        return watch_warnings(scorers, graded, smallest_pool(graded.cases))
    return wait_for(share_warnings(scorers, pools))


def watched(scorers: Mapping[str, Scorer], pools: Sequence[Case]) -> Watched:
    """Whether the watch looks at a selector, and has questions, or templates, enough to tell."""
    if has_arms(pools) or not any(map(may_be_fooled, scorers.values())):
        return "none"
    units = named_clusters([case.cluster for case in pools]) or [case.query.id for case in pools]
    return "enough" if len(set(units)) >= FEWEST else "too few"


def notes_on_curves(
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


def notes_of(run: RunReader, rows: Sequence[Row], about_curves: tuple[str, ...]) -> tuple[str, ...]:
    """What is to be known of the curves, of the run, and of selectors that fail."""
    return (*about_curves, *run_notes(run), *_failures(rows))


def _failures(rows: Sequence[Row]) -> tuple[str, ...]:
    return tuple(
        f"{row.select} fails at {row.failed:,} of {row.failed + row.n_queries:,} questions "
        f"and has no curve: {row.failure}"
        for row in rows
        if row.failed
    )
