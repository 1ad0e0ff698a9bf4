"""How many of the samples of a question are right: what a selector can win at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from nbest.experiments.runs.case import Case

MOST_EXACT = 16  # samples: of more, or of unequal numbers, shares are counted
TENTHS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Questions of which as many samples are right."""

    label: str
    questions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RightCounts:
    """The questions by how many of their samples are right, none first."""

    bars: tuple[Bar, ...]
    never: float  # share of the questions without a right sample: no selector helps
    always: float  # ... of which all samples are right: none is needed
    unit: str  # of the labels


def right_counts(graded: Sequence[Case]) -> RightCounts | None:
    """Count the questions; None without one. What the grader cannot say is not right."""
    pairs = [(sum(w == 1.0 for w in case.worths), len(case.worths)) for case in graded]
    pairs = [(right, total) for right, total in pairs if total]
    if not pairs:
        return None
    totals = {total for _, total in pairs}
    most = max(totals)
    is_exact = len(totals) == 1 and most <= MOST_EXACT
    return RightCounts(
        bars=_exact_bars(pairs, most) if is_exact else _share_bars(pairs),
        never=sum(right == 0 for right, _ in pairs) / len(pairs),
        always=sum(right == total for right, total in pairs) / len(pairs),
        unit=f"right ones of {most} samples" if is_exact else "share of right samples",
    )


def _exact_bars(pairs: Sequence[tuple[int, int]], most: int) -> tuple[Bar, ...]:
    counts = Counter(right for right, _ in pairs)
    return tuple(Bar(label=str(right), questions=counts[right]) for right in range(most + 1))


def _share_bars(pairs: Sequence[tuple[int, int]]) -> tuple[Bar, ...]:
    """None and all have bars of their own; what lies between them is parted into tenths."""
    counts: Counter[str] = Counter()
    tenths = [f"{10 * place}-{10 * place + 10}%" for place in range(TENTHS)]
    for right, total in pairs:
        if right in (0, total):
            counts["none" if right == 0 else "all"] += 1
        else:
            counts[tenths[TENTHS * right // total]] += 1
    return tuple(Bar(label=name, questions=counts[name]) for name in ("none", *tenths, "all"))
