"""The arms of a panel side by side, and what the mixture of them wins at equal tokens.

Arms cost differently: one that thinks at length draws fewer samples for the same tokens. So each
arm is given as many samples as the tokens of the comparison pay for, on average over a coin that
decides about the last one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nbest.experiments.analysis.accuracy import NOTHING, Accuracy, accuracy_of
from nbest.experiments.analysis.curves.exact import (
    has_arms,
    one_curves,
    smallest_pool,
    ungraded_samples,
)
from nbest.experiments.analysis.curves.of_selectors import question_curves, scored_pools
from nbest.experiments.analysis.table.rows import named_clusters
from nbest.experiments.runs.case import Case
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.selection import candidates_at
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.paired import Difference, holm, paired_difference, paired_p_value

MIXTURE = "all arms"

Bounds = tuple[Scores, Scores]
"""[Q] what a choice is worth with unknown verdicts as 0, and as 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRow:
    """One arm, or all of them: alone, and choosing for the tokens that all can pay."""

    name: str
    samples: int  # of each question
    tokens: float  # generated, of one sample in the mean
    one: Accuracy  # of one sample
    chosen_k: float  # samples that the tokens of the comparison pay for; 0: not even one
    chosen: Accuracy  # of the selector among so many
    gain: Difference | None = None  # of all arms over this one
    p_value: float = math.nan  # of the gain, corrected for the number of arms


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmTable:
    """The arms of a run, all arms together last."""

    select: str
    tokens: float  # of a question, the same for each row
    questions: int  # that every arm has drawn for
    all_questions: int
    rows: tuple[ArmRow, ...]

    def as_json(self) -> dict[str, object]:
        return {
            "select": self.select,
            "tokens": self.tokens,
            "questions": self.questions,
            "arms": [_row_json(row) for row in self.rows],
        }


def _row_json(row: ArmRow) -> dict[str, object]:
    return {
        "arm": row.name,
        "samples": row.samples,
        "tokens": row.tokens,
        "one": row.one._asdict(),
        "k": row.chosen_k or None,
        "chosen": None if math.isnan(row.chosen.mean) else row.chosen._asdict(),
        "gain": None if row.gain is None else row.gain._asdict(),
        "p_value": None if math.isnan(row.p_value) else row.p_value,
    }


def by_arm(cases: Sequence[Case]) -> dict[str, list[Case]]:
    """The cases of each arm, with its samples alone; only questions that every arm has drawn for.

    Empty where there are no arms.
    """
    if not has_arms(cases):
        return {}
    names = list(dict.fromkeys(arm for case in cases for arm in case.arms))
    whole = [case for case in cases if set(names) <= set(case.arms)]
    return {name: [of_arm(case, name) for case in whole] for name in sorted(names)}


def of_arm(case: Case, name: str) -> Case:
    """The case with the samples of one arm alone."""
    places = [place for place, arm in enumerate(case.arms) if arm == name]
    return replace(case, candidates=candidates_at(case.candidates, places))


def tokens_of(cases: Sequence[Case]) -> float:
    """Generated tokens of one sample, in the mean over questions."""
    means = [
        np.mean([sample.generated_tokens for sample in case.candidates.samples]) for case in cases
    ]
    return float(np.mean(means))


def arm_table(select: str, scorer: Scorer, cases: Sequence[Case]) -> ArmTable | None:
    """The table of arms for one selector; None without arms, or where they cannot be compared.

    The tokens of the comparison are the most that every row can pay with the samples it has. All
    arms together pay for their turns one by one, in the order of the panel; a row that cannot pay
    for its first sample is not compared.
    """
    arms = by_arm(cases)
    whole = _whole(cases, arms)
    costs = {name: tokens_of(pool) for name, pool in arms.items() if pool}
    if not whole or not all(costs.values()):
        return None
    pools: dict[str, Sequence[Case]] = {**arms, MIXTURE: whole}
    paid = {name: _paid(pool, costs) for name, pool in pools.items()}
    tokens = min(float(sums[-1]) for sums in paid.values())
    ks = {name: affordable(sums, tokens) for name, sums in paid.items()}
    clusters = named_clusters([case.cluster for case in whole])
    worths = {n: _worths(select, scorer, pools[n], k) for n, k in ks.items() if k is not None}
    rows = [
        ArmRow(
            name=name,
            samples=smallest_pool(pool),
            tokens=tokens_of(pool),
            one=accuracy_of(*_one_sample(pool), clusters),
            chosen_k=ks[name] or 0.0,
            chosen=accuracy_of(*worths[name], clusters) if name in worths else NOTHING,
        )
        for name, pool in pools.items()
    ]
    return ArmTable(
        select=select,
        tokens=tokens,
        questions=len(whole),
        all_questions=len(cases),
        rows=_with_gains(rows, worths, clusters),
    )


def _paid(pool: Sequence[Case], costs: Mapping[str, float]) -> Scores:
    """[K] the tokens of the first k turns, in the mean over questions."""
    turns = [[costs[arm] for arm in case.arms[: smallest_pool(pool)]] for case in pool]
    sums: Scores = np.mean(turns, axis=0).cumsum()
    return sums


def affordable(paid: Scores, tokens: float) -> float | None:
    """How many turns these tokens pay for, a part of the next one as a coin's share.

    None where they do not pay for the first.
    """
    k = int(np.searchsorted(paid, tokens * (1 + 1e-9), side="right"))
    if k == 0:
        return None
    if k == len(paid):
        return float(k)
    return k + float((tokens - paid[k - 1]) / (paid[k] - paid[k - 1]))


def _whole(cases: Sequence[Case], arms: Mapping[str, Sequence[Case]]) -> list[Case]:
    """The cases of the questions that every arm has drawn for."""
    ids = {case.query.id for pool in arms.values() for case in pool}
    return [case for case in cases if case.query.id in ids]


def _worths(select: str, scorer: Scorer, pool: Sequence[Case], k: float) -> Bounds:
    """[Q] what a choice among k is worth, with unknown verdicts as 0, and as 1."""
    largest = smallest_pool(pool)
    low = min(math.floor(k), largest)
    ks = sorted({low, min(low + 1, largest)})
    scored = scored_pools({select: scorer}, pool)
    least = worth_at(question_curves(select, scorer, scored, ks), k)
    if not ungraded_samples(pool):
        return least, least
    return least, worth_at(question_curves(select, scorer, scored, ks, unknown=1.0), k)


def _one_sample(pool: Sequence[Case]) -> Bounds:
    largest = smallest_pool(pool)
    least, most = (one_curves(pool, largest, unknown)[:, -1] for unknown in (0.0, 1.0))
    return least, most


def _with_gains(
    rows: Sequence[ArmRow], worths: Mapping[str, Bounds], clusters: Sequence[str] | None
) -> tuple[ArmRow, ...]:
    """The rows of arms with what all arms win over each, corrected for their number (Holm)."""
    arms = [row for row in rows if row.name != MIXTURE]
    last = [row for row in rows if row.name == MIXTURE]
    if MIXTURE not in worths:
        return (*arms, *last)
    able = [row for row in arms if row.name in worths]
    gains = {row.name: _gain(worths[MIXTURE], worths[row.name], clusters) for row in able}
    p_values = dict(zip(gains, holm([p for _, p in gains.values()]), strict=True))
    compared = [
        replace(row, gain=gains[row.name][0], p_value=p_values[row.name])
        if row.name in gains
        else row
        for row in arms
    ]
    return (*compared, *last)


def _gain(mixture: Bounds, arm: Bounds, clusters: Sequence[str] | None) -> tuple[Difference, float]:
    """What the mixture wins over an arm, and the p-value: whatever unknown verdicts are.

    The interval reaches from the worst case for the mixture to the best one.
    """
    pairs = [(mixture[0], arm[0])]
    if not np.array_equal(*mixture) or not np.array_equal(*arm):
        pairs += [(mixture[0], arm[1]), (mixture[1], arm[0])]
    differences = [paired_difference(ours, theirs, clusters=clusters) for ours, theirs in pairs]
    low, high = min(d.low for d in differences), max(d.high for d in differences)
    p_value = max(paired_p_value(ours, theirs, clusters) for ours, theirs in pairs)
    if low <= 0 <= high and len(pairs) > 1:
        p_value = 1.0  # it depends on what nobody knows
    return Difference(differences[0].mean, low, high), p_value


def worth_at(curve: Scores, k: float) -> Scores:
    """[Q] what a choice among k of curves [Q, K] is worth; between whole numbers, a mixture."""
    low = min(max(1, math.floor(k)), curve.shape[1])
    high = min(low + 1, curve.shape[1])
    share = min(max(k - low, 0.0), 1.0)
    worth: Scores = (1 - share) * curve[:, low - 1] + share * curve[:, high - 1]
    return worth


def best_arm_sentence(table: ArmTable) -> str:
    """Say what all arms win over the best of them, which was the best on these very questions."""
    arms = [row for row in table.rows if row.gain is not None]
    few = ""
    if table.questions < table.all_questions:
        few = f" on {table.questions} of {table.all_questions} questions, those with all arms"
    at = f"{table.select} at {table.tokens:,.0f} tokens a question{few}"
    if not arms:
        return f"{at}: too few for a comparison of the arms, which cost too differently"
    best = max(arms, key=lambda row: row.chosen.mean)
    gain = best.gain
    assert gain is not None
    verdict = "" if best.p_value <= 0.05 else ", which may be chance"
    return (
        f"{at}: all arms together against {best.name}, the best arm on these questions: "
        f"{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}){verdict}"
    )
