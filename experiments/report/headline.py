"""The headline of a run: what choosing among N samples wins, in a sentence and four figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nbest.experiments.analysis.accuracy import known_as
from nbest.experiments.analysis.replay.figures import Replay
from nbest.experiments.analysis.table.rows import Row, named_clusters
from nbest.experiments.analysis.table.sample_counts import MANY, SampleCounts
from nbest.experiments.runs.case import Case
from nbest.scorers.estimators.paired import Difference, paired_difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A figure, and what it is of."""

    value: str
    what: str
    detail: str = ""
    is_warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """What comes first on the page of a run."""

    sentence: str
    gain: str  # over one sample, with its interval; empty without gold answers
    is_gain: bool | None  # up, down, or None: within noise
    more: tuple[str, ...]  # sentences
    tiles: tuple[Tile, ...]


def headline_of(
    rows: Sequence[Row],
    baselines: Sequence[Row],
    graded: Sequence[Case],
    replay: Replay | None,
    samples: SampleCounts,
) -> Headline:
    """Sum up a run by its first selector; `baselines` are one sample and any sample right."""
    tokens = _tokens_tile(rows, baselines, replay)
    if not rows:
        return _without_selector(baselines, graded, (tokens, _samples_tile(samples)))
    first = rows[0]
    if not samples.answered:
        return _without_answer(samples, (tokens, _samples_tile(samples)))
    if not graded:
        return _without_gold(first, (tokens, _samples_tile(samples)))
    gain = gain_over_one(first, graded)
    one, any_right = baselines
    tiles = (
        Tile(
            value=percent(first.accuracy),
            what=f"right, {choice_phrase(first, is_start=False)}",
            detail=f"{percent(first.low)} to {percent(first.high)}",
        ),
        Tile(
            value=_points(gain.mean),
            what="points over one sample",
            detail=f"{_points(gain.low)} to {_points(gain.high)}",
        ),
        tokens,
        _samples_tile(samples),
    )
    return Headline(
        sentence=(
            f"{choice_phrase(first)} is right in {percent(first.accuracy)} of "
            f"{first.n_graded:,} questions, one sample in {percent(one.accuracy)}"
        ),
        gain=f"{_points(gain.mean)} points ({_points(gain.low)} to {_points(gain.high)})",
        is_gain=None if gain.low <= 0 <= gain.high else gain.mean > 0,
        more=(_ceiling(any_right), *_adaptive(replay, first)),
        tiles=tiles,
    )


def gain_over_one(row: Row, graded: Sequence[Case]) -> Difference:
    """What a selector wins over one sample, on the same questions, with a 95% interval.

    What the grader could not say counts against the gain below, and for it above.
    """
    verdicts = row.verdicts
    cases = [case for case in graded if case.query.id in verdicts]
    if len(cases) < 2:
        return Difference(math.nan, math.nan, math.nan)
    chosen = [verdicts[case.query.id] for case in cases]
    worths = [_of_one(case) for case in cases]
    clusters = named_clusters([case.cluster for case in cases])
    ends = [
        paired_difference(
            np.array([known_as(verdict, unknown) for verdict in chosen]),
            np.array([one[1 - place] for one in worths]),
            clusters=clusters,
        )
        for place, unknown in enumerate((0.0, 1.0))
    ]
    plain = np.array([known_as(verdict, 0.0) for verdict in chosen])
    mean = float(np.mean(plain - np.array([one[0] for one in worths])))
    return Difference(mean, ends[0].low, ends[1].high)


def _of_one(case: Case) -> tuple[float, float]:
    """What one sample is worth, with unknown verdicts as wrong, and as right."""
    worths = case.worths or [0.0]
    least, most = (
        math.fsum(known_as(worth, unknown) for worth in worths) / len(worths)
        for unknown in (0.0, 1.0)
    )
    return least, most


def choice_phrase(row: Row, *, is_start: bool = True) -> str:
    """A selector and the number of its samples, as the subject of a sentence or inside it."""
    fewest, most = row.samples_each
    count = f"{most}" if fewest == most else f"{fewest} to {most}"
    if row.select == "vote":
        return f"{'A' if is_start else 'a'} vote among {count}"
    return f"{row.select} among {count}"


def _ceiling(any_right: Row) -> str:
    return (
        f"In {percent(any_right.accuracy)} at least one of the samples is right: no selector of "
        "these samples can pass that."
    )


def _adaptive(replay: Replay | None, first: Row) -> tuple[str, ...]:
    """What a vote that stops early would have spent; only beside a vote it says something."""
    if replay is None or first.select != "vote" or math.isnan(replay.accuracy):
        return ()
    return (
        f"A vote that stops once it is decided would have needed {replay.samples:.1f} samples a "
        f"question, and be right in {percent(replay.accuracy)}.",
    )


def _tokens_tile(rows: Sequence[Row], baselines: Sequence[Row], replay: Replay | None) -> Tile:
    row = rows[0] if rows else baselines[-1]
    if not row.tokens or not row.n_queries:
        return Tile(value="-", what="tokens a question: the samples do not say")
    detail = ""
    if replay is not None and not math.isnan(replay.saving) and row.select == "vote":
        detail = f"{replay.saving:.0%} less if it stops early"
    return Tile(value=f"{row.tokens / row.n_queries:,.0f}", what="tokens a question", detail=detail)


def _samples_tile(samples: SampleCounts) -> Tile:
    """The largest loss of samples, or how many hold an answer where few are lost."""
    total = max(1, samples.total)
    losses = {
        "of the samples were cut off": (samples.cut_off, "raise sampling.max_tokens"),
        "of the samples hold no answer": (samples.no_answer, "look at `extract`"),
        "of the samples failed": (samples.failed, ""),
    }
    what, (count, remedy) = max(losses.items(), key=lambda loss: loss[1][0])
    if count > MANY * total:
        return Tile(value=percent(count / total), what=what, detail=remedy, is_warning=True)
    return Tile(
        value=percent(samples.answered / total),
        what="of the samples hold an answer",
        detail=f"{samples.cut_off / total:.1%} cut off",
    )


def _without_selector(
    baselines: Sequence[Row], graded: Sequence[Case], tiles: tuple[Tile, ...]
) -> Headline:
    one, any_right = baselines
    sentence = "No selector of this run can be applied here"
    if graded:
        sentence += f"; one sample is right in {percent(one.accuracy)}"
    more = (_ceiling(any_right),) if graded else ()
    return Headline(sentence=sentence, gain="", is_gain=None, more=more, tiles=tiles)


def _without_answer(samples: SampleCounts, tiles: tuple[Tile, ...]) -> Headline:
    """What can be said where no sample holds an answer: there is nothing to choose from."""
    worst = max(("cut off", samples.cut_off), ("failed", samples.failed), key=lambda one: one[1])
    why = f": {worst[1]:,} of {samples.total:,} were {worst[0]}" if worst[1] else ""
    sentence = f"No sample holds an answer, so there is nothing to choose from{why}"
    return Headline(sentence=sentence, gain="", is_gain=None, more=(), tiles=tiles)


def _without_gold(first: Row, tiles: tuple[Tile, ...]) -> Headline:
    """What can be said where nobody knows which answers are right."""
    given = [choice.confidence for choice in first.choices if choice.answer is not None]
    agreement = float(np.mean(given)) if given else math.nan
    return Headline(
        sentence=(
            f"{choice_phrase(first)} answers {len(given):,} of {first.n_queries:,} questions; "
            "none has a gold answer"
        ),
        gain="",
        is_gain=None,
        more=(),
        tiles=(
            Tile(value=f"{len(given):,}", what=f"of {first.n_queries:,} questions answered"),
            Tile(value=percent(agreement), what="of the answers agree with the chosen one"),
            *tiles,
        ),
    )


def percent(share: float) -> str:
    """A share in percent with one decimal; a dash where nobody knows it."""
    return "-" if math.isnan(share) else f"{100 * share:.1f}%"


def _points(difference: float) -> str:
    return "-" if math.isnan(difference) else f"{100 * difference:+.1f}"
