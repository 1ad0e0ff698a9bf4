"""`nbest replay`: what an adaptive strategy would have drawn, on samples that are stored.

The samples of each question are put into many random orders, and the same rule as in a live run
says after each sample whether it has seen enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from nbest.experiments.analysis.case_notes import curve_notes
from nbest.experiments.analysis.curves.exact import ended_cases, graded_cases
from nbest.experiments.analysis.replay.drawn import Drawn, pointwise_scores
from nbest.experiments.analysis.replay.figures import OrderFigures, Replay, summed_up
from nbest.experiments.analysis.replay.strategy import ReplayedStrategy, build_strategy
from nbest.experiments.analysis.stored_logprobs import require_logprobs
from nbest.experiments.analysis.table.rows import named_clusters
from nbest.experiments.config.strategy import tree_named
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import cases_of, reading_of
from nbest.experiments.runs.selectors import with_models_of
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.requirements import require
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Scores

TELL_EVERY = 10  # orders
SHUFFLES = 1000  # with 100 the error is as large as what rules differ by


def replay(
    run: StrPath,
    strategy: str = "adaptive",
    max_n: int = 64,
    shuffles: int = SHUFFLES,
    seed: int = 0,
    extract: str | None = None,
    grade: str | None = None,
    tell: Callable[[str], None] = lambda line: None,
    equivalence: str | None = None,
) -> Replay:
    """Replay a strategy on the questions of a run, which have `max_n` samples or more.

    Questions without a gold answer are left out; where none has one, all are replayed and the
    accuracy is nan.
    """
    require(shuffles >= 1, "shuffles", "be at least 1", shuffles)
    reader = RunReader(run)
    built = with_models_of(build_strategy(strategy), reader)
    _require_whole_samples(reader)
    loaded = cases_of(reader, reading_of(reader, extract, grade, equivalence), [built.select])
    graded = graded_cases(loaded)
    cases = graded or ended_cases(loaded)
    if not cases:
        raise InputError(f"run must hold samples that ended, {str(run)!r} has none")
    require_logprobs(strategy, built.select, cases)
    fewest = min(len(case.candidates) for case in cases)
    rule = f"lie in 1..{fewest}, the samples of the question that has fewest"
    require(1 <= max_n <= fewest, "max_n", rule, max_n)
    replayed = replay_cases(cases, built, max_n, shuffles, seed, tell)
    return replace(replayed, notes=curve_notes({}, loaded, graded))


def _require_whole_samples(run: RunReader) -> None:
    """Refuse samples that DeepConf has ended early: no other strategy would have drawn them so."""
    drawn = run.manifest.config.get("strategy")
    if isinstance(drawn, dict) and drawn.get("deep_conf") is not None:
        rule = "hold samples that were drawn whole; this one was drawn with strategy.deep_conf"
        raise InputError(f"run must {rule}, got {run.shown_path!r}")
    if tree_named(drawn) is not None:
        rule = "hold independent samples; a search is replayed by another one, as beam(width=2)"
        raise InputError(f"run must {rule}, got {run.shown_path!r}")


def replay_cases(
    cases: Sequence[Case],
    strategy: ReplayedStrategy,
    max_n: int,
    shuffles: int,
    seed: int = 0,
    tell: Callable[[str], None] = lambda line: None,
) -> Replay:
    """Replay a strategy on cases; the orders depend on the seed and a question's place alone."""
    means, errors = wait_for(_means(cases, strategy, max_n, shuffles, seed, tell))
    columns = dict(zip(OrderFigures._fields, means.T, strict=True))
    return summed_up(columns, errors, named_clusters([case.cluster for case in cases]), max_n)


async def _means(
    cases: Sequence[Case],
    strategy: ReplayedStrategy,
    max_n: int,
    shuffles: int,
    seed: int,
    tell: Callable[[str], None],
) -> tuple[Scores, float]:
    """[Q, F] The means over the shuffles of the fields of `OrderFigures`, and the orders' error.

    The error is the standard error, from drawing orders, of what the strategy wins over all.
    """
    scores = [await pointwise_scores(strategy.select, case) for case in cases]
    shuffled = [orders(case, max_n, shuffles, seed, q) for q, case in enumerate(cases)]
    total = np.zeros((len(cases), len(OrderFigures._fields)))
    gains: list[float] = []  # of each order, over all questions
    place, fixed_place = (OrderFigures._fields.index(n) for n in ("right", "right_fixed"))
    for number, batch in enumerate(zip(*shuffled, strict=True), start=1):  # an order of each
        drawn = [
            Drawn(case=case, order=order, whole=whole)
            for case, order, whole in zip(cases, batch, scores, strict=True)
        ]
        measured = np.array(await _measured(drawn, strategy, max_n), np.float64)
        total += measured
        gains.append(float(np.mean(measured[:, place] - measured[:, fixed_place])))
        if number % TELL_EVERY == 0:
            tell(f"{number} of {shuffles} orders of each question")
    spread = float(np.std(gains, ddof=1)) if shuffles > 1 else math.nan
    return total / shuffles, spread / math.sqrt(shuffles)


async def _measured(
    drawn: Sequence[Drawn], strategy: ReplayedStrategy, max_n: int
) -> list[OrderFigures]:
    """[Q] What the strategy does, beside the same choice from all `max_n`."""
    outcomes = await strategy.outcomes(drawn)
    choices = [await question.spent(strategy.select, max_n) for question in drawn]
    return [
        OrderFigures(
            right=question.right(spent.answer),
            right_most=question.right(spent.answer, unknown=1.0),
            answered=float(spent.answer is not None),
            agrees=float(spent.answer == fixed.answer),
            samples=spent.samples,
            started=spent.samples if spent.started is None else spent.started,
            tokens=spent.tokens,
            counted=spent.tokens if spent.counted is None else spent.counted,
            seconds=spent.seconds,
            right_fixed=question.right(fixed.answer),
            gain_least=question.gain(spent.answer, fixed.answer, unknown=(0.0, 1.0)),
            gain_most=question.gain(spent.answer, fixed.answer, unknown=(1.0, 0.0)),
            tokens_fixed=fixed.tokens,
            seconds_fixed=question.last_s(),
        )
        for spent, fixed, question in zip(outcomes, choices, drawn, strict=True)
    ]


def orders(case: Case, max_n: int, shuffles: int, seed: int, place: int) -> list[list[int]]:
    """Random orders of `max_n` of the samples of a question; a panel's arms keep their turns."""
    rng = np.random.default_rng([seed, place])
    of_arms = [
        np.array([i for i, name in enumerate(case.arms) if name == arm])
        for arm in dict.fromkeys(case.arms)
    ]
    drawn = []
    for _ in range(shuffles):
        order = np.arange(len(case.candidates))
        for places in of_arms:
            order[places] = rng.permutation(places)
        drawn.append(order[:max_n].tolist())
    return drawn
