"""The results of the study of verifiers: selectors, curves, the watch; a table and a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nbest.experiments.analysis.curves.exact import (
    Curve,
    any_curves,
    best_curves,
    curve_of,
    graded_cases,
    share_curves,
    smallest_pool,
    values_of,
    vote_curves,
)
from nbest.experiments.config.plugins import build_scorer
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import load_cases
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.selection import select
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.intervals import clustered_interval
from nbest.scorers.estimators.over_optimisation import watch
from nbest.scorers.estimators.paired import mcnemar, paired_difference
from nbest.scorers.estimators.risk_coverage import auroc


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The accuracy of a selector on all questions."""

    select: str
    accuracy: float
    low: float
    high: float
    gain: float  # over the vote, on the same questions
    gain_low: float  # 95% interval, paired bootstrap over questions
    gain_high: float
    p_value: float  # McNemar's


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All figures of the study."""

    questions: int
    samples: int  # a question
    auroc: float  # of the verifier over all samples of the test questions
    training: dict[str, object]  # the verifier's own metrics
    selectors: tuple[Chosen, ...]
    curves: tuple[Curve, ...]
    watch: str  # with labels
    watch_unlabelled: str


def findings(run: Path, verifier: Path) -> Findings:
    """Compute all figures from the test run, whose samples the verifier has scored."""
    cases = graded_cases(load_cases(run))
    model = json.dumps(str(verifier))
    raw, probability = f"reward(model={model})", f'reward(model={model}, scale="sigmoid")'
    k = smallest_pool(cases)
    scores = wait_for(_scores(build_scorer(raw), cases))
    best = best_curves(cases, scores, k)
    names = {
        "first": "first",
        "vote": "vote",
        "mean_logprob": "mean_logprob",
        "reward": raw,
        "weighted_vote(by=reward)": f"weighted_vote(by={probability})",
        f"top_vote(by=reward, k={max(2, k // 4)})": f"top_vote(by={raw}, k={max(2, k // 4)})",
        "majority_of_bests(by=reward)": f"majority_of_bests(by={raw})",
        "best_of_majority(by=reward)": f"best_of_majority(by={raw})",
        "pessimistic(by=reward)": f"pessimistic(by={raw})",
    }
    return Findings(
        questions=len(cases),
        samples=k,
        auroc=_auroc(cases, scores),
        training=json.loads((verifier / "metrics.json").read_text(encoding="utf-8")),
        selectors=tuple(_compared(names, cases)),
        curves=(
            curve_of("any right", any_curves(cases, k)),
            curve_of("vote", vote_curves(cases, k)),
            curve_of("reward", best),
        ),
        watch=watch(best).sentence(),
        watch_unlabelled=watch(share_curves(cases, scores, k)).share_sentence(),
    )


async def _scores(scorer: Scorer, cases: Sequence[Case]) -> list[Scores]:
    return [await scorer(case.query, case.candidates) for case in cases]


def _auroc(cases: Sequence[Case], scores: Sequence[Scores]) -> float:
    right = np.concatenate([values_of(case) for case in cases])
    flat = np.concatenate(scores)
    scored = ~np.isnan(flat)
    return auroc(flat[scored].tolist(), (right[scored] == 1).tolist())


def _compared(names: dict[str, str], cases: Sequence[Case]) -> list[Chosen]:
    verdicts = {name: wait_for(_verdicts(build_scorer(s), cases)) for name, s in names.items()}
    rows = []
    for name, right in verdicts.items():
        interval = clustered_interval(right)
        gain = paired_difference(right, verdicts["vote"])
        rows.append(
            Chosen(
                select=name,
                accuracy=float(right.mean()),
                low=interval.low,
                high=interval.high,
                gain=gain.mean,
                gain_low=gain.low,
                gain_high=gain.high,
                p_value=mcnemar(right, verdicts["vote"]),
            )
        )
    return rows


async def _verdicts(scorer: Scorer, cases: Sequence[Case]) -> Scores:
    """[Q] 1 where the chosen answer is right, else 0."""
    chosen = [(await select(c.query, c.candidates, scorer)).answer for c in cases]
    pairs = zip(cases, chosen, strict=True)
    return np.array([0.0 if a is None else c.verdicts[a] for c, a in pairs], np.float64)


def table(results: Findings) -> str:
    """The results as plain text."""
    train = results.training["train"]
    held_out = results.training["held_out"]
    assert isinstance(train, dict)
    assert isinstance(held_out, dict)
    lines = [
        f"{results.questions} questions x {results.samples} samples; the verifier learned from "
        f"{train['examples']} responses to {train['questions']} other questions",
        f"AUROC on the test questions {results.auroc:.3f}; on those held out in training "
        f"{held_out['auroc']:.3f}",
        "",
        f"{'selector':32} accuracy  95% interval   over the vote, 95% interval    p",
    ]
    lines += [
        f"{row.select:32} {row.accuracy:.3f}     {row.low:.2f} to {row.high:.2f}   "
        f"{row.gain:+.3f}  {row.gain_low:+.3f} to {row.gain_high:+.3f}   {row.p_value:.4f}"
        for row in results.selectors
    ]
    lines += ["", f"{'k':>4}" + "".join(f"{curve.name:>24}" for curve in results.curves)]
    k = 1
    while k <= results.samples:
        lines.append(f"{k:>4}" + "".join(f"{_cell(curve, k):>24}" for curve in results.curves))
        k *= 2
    lines += ["", f"watch: {results.watch}", f"without labels: {results.watch_unlabelled}"]
    return "\n".join(lines)


def _cell(curve: Curve, k: int) -> str:
    return f"{curve.mean[k - 1]:.3f} ({curve.low[k - 1]:.2f}-{curve.high[k - 1]:.2f})"


def picture(results: Findings, file: Path) -> None:
    """Draw the curves with their intervals, as SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    ks = np.arange(1, results.samples + 1)
    for curve in results.curves:
        (line,) = axes.plot(ks, curve.mean, label=curve.name)
        axes.fill_between(ks, curve.low, curve.high, alpha=0.15, color=line.get_color())
    axes.set(xscale="log", xlabel="k, samples to choose from", ylabel="accuracy")
    axes.set_xticks(2 ** np.arange(int(np.log2(results.samples)) + 1))
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.xaxis.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    axes.set_title(f"{results.questions} questions; mean over all subsets, 95% over questions")
    figure.savefig(file, metadata={"Date": None})
