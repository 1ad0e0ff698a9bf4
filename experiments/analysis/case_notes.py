"""Notes on cases: what no grader could say, what never ended, what is uneven, tied or estimated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from nbest.experiments.analysis.curves.exact import Curve, ended_cases, ungraded_samples
from nbest.experiments.runs.case import Case
from nbest.orchestrator.protocols import Scorer
from nbest.scorers.votes.majority import MajorityVote


def curve_notes(
    scorers: Mapping[str, Scorer], cases: Sequence[Case], graded: Sequence[Case]
) -> tuple[str, ...]:
    """Say of cases, and of the graded ones among them, what is unknown, uneven or tied."""
    without = len(cases) - len(ended_cases(cases))
    return (
        *verdict_notes(cases[0].graded_by if cases else ""),
        *graded_notes(len(graded), len(cases) - without),
        *unended_notes(without),
        *unknown_notes(ungraded_samples(graded), sum(len(case.worths) for case in graded)),
        *pool_notes(graded),
        *tie_notes(scorers, graded),
    )


def verdict_notes(name: str) -> tuple[str, ...]:
    """Say that a model has graded, where one has: accuracies are what it took for right."""
    if not name:
        return ()
    return (
        f"right is what the model whose verdicts are called {name!r} took for right: "
        "`nbest grade` says how often it agrees with what is known",
    )


def graded_notes(count: int, total: int) -> tuple[str, ...]:
    """Say how many questions accuracies are of, where that is not all of them."""
    if count in (0, total):
        return ()
    return (
        f"accuracies are of {count:,} of {total:,} questions: the others have no gold answer that "
        "the grader can read",
    )


def unended_notes(count: int) -> tuple[str, ...]:
    """Say of how many questions no sample ended."""
    if not count:
        return ()
    return (
        f"{count:,} question{'s have' if count > 1 else ' has'} no sample that ended, for all "
        "failed or were aborted: no accuracy counts it",
    )


def unknown_notes(count: int, total: int) -> tuple[str, ...]:
    """Say of how many samples the grader could not say whether they are right."""
    if not count:
        return ()
    return (
        f"the grader could not say of {count:,} of {total:,} samples whether they are right: they "
        "count as wrong, and intervals reach to what they would be if all of them were right",
    )


def tie_notes(scorers: Mapping[str, Scorer], cases: Sequence[Case]) -> tuple[str, ...]:
    """Say that curves and tables treat equal votes differently, where there are any."""
    tied = sum(_is_tied(case) for case in cases)
    if not tied:
        return ()
    return tuple(
        f"{name}: of all samples {tied:,} of {len(cases):,} questions have equal votes: in curves "
        "equal answers share the win, in a table the first sample decides"
        for name, scorer in scorers.items()
        if isinstance(scorer, MajorityVote)
    )


def _is_tied(case: Case) -> bool:
    """Whether two answers lead with as many votes, and are not worth the same."""
    counts = Counter(answer for answer in case.candidates.answers if answer is not None)
    most = max(counts.values(), default=0)
    leaders = [case.verdicts[answer] for answer, count in counts.items() if count == most]
    return len(set(leaders)) > 1


def pool_notes(cases: Sequence[Case]) -> tuple[str, ...]:
    """Say where questions have different numbers of samples."""
    sizes = [len(case.candidates) for case in cases]
    if len(set(sizes)) <= 1:
        return ()
    return (
        f"questions have from {min(sizes)} to {max(sizes)} samples: curves end at {min(sizes)}, "
        "and are of all subsets of what each question has",
    )


def sampling_notes(curves: Sequence[Curve]) -> tuple[str, ...]:
    """What is estimated from random subsets, and how well."""
    return tuple(
        f"{curve.name}: estimated from {curve.subsets:,} subsets of each "
        f"question, which adds a standard error of {curve.drawing_error:.4f}"
        for curve in curves
        if curve.drawing_error
    )
