"""Study: two real models in one pool: vote, weights, cascade, and the larger one as a verifier.

    python -m nbest.model_backend.models.second_model      fetches the larger model, once
    python -m nbest.experiments.studies.two_models [--questions 48] [--out runs/two_models]

Both models answer the same questions, and the larger one reads every answer. Each way to answer is
measured on all questions, and compared with one sample of the larger model. The same command goes
on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from nbest.experiments.analysis.accuracy import Accuracy, accuracy_of
from nbest.experiments.analysis.curves.arms import of_arm
from nbest.experiments.analysis.curves.exact import graded_cases, one_curves
from nbest.experiments.analysis.replay.cascade import ReplayedCascade
from nbest.experiments.analysis.replay.drawn import Drawn, Spent
from nbest.experiments.cli.display.progress_view import shown_progress
from nbest.experiments.cli.ending import run_command
from nbest.experiments.config.config import load_config
from nbest.experiments.config.plugins import build_scorer
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan
from nbest.experiments.runs.selectors import with_models_of
from nbest.experiments.training.arm_weights import FittedWeights, fitted_on
from nbest.model_backend.models.second_model import PARAMETERS as LARGE_PARAMETERS
from nbest.model_backend.models.small_model import PARAMETERS as SMALL_PARAMETERS
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.selection import select
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Scores
from nbest.scorers.estimators.paired import Difference, paired_difference
from nbest.scorers.estimators.risk_coverage import auroc, auroc_interval
from nbest.scorers.given import StoredScore
from nbest.scorers.votes.majority import MajorityVote

CONFIG = Path(__file__).parents[1] / "configs" / "two_models.yaml"
SMALL, LARGE = "small", "large"  # the arms
LIKELIHOOD = "likelihood(model=large, of=least)"
THRESHOLDS = (0.5, 0.75, 1.0)  # of the cascade
PARAMETERS = {SMALL: SMALL_PARAMETERS, LARGE: LARGE_PARAMETERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to answer, on all questions."""

    name: str
    worths: Scores  # [Q]
    flops: float  # a question, 2 a parameter and token; of prompts, those of ratings alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a way to answer is worth, and what it costs."""

    name: str
    accuracy: Accuracy
    gain: Difference  # over one sample of the larger model, on the same questions
    cost: float  # in samples of the larger model


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All ways to answer, and how well the larger model's likelihood tells right from wrong."""

    questions: int
    samples: dict[str, int]  # of each arm, a question
    lines: tuple[Line, ...]
    auroc: Accuracy  # over the small model's samples
    weights: FittedWeights


def study(out: Path, questions: int) -> Findings:
    """Draw and rate what is missing, and compare."""
    plan = make_plan(load_config(CONFIG, [f"dataset.size={questions}"]))
    with shown_progress() as report:
        carry_out(plan, out, report)
    likelihood = with_models_of(build_scorer(LIKELIHOOD), RunReader(out))
    return findings(graded_cases(load_cases(out)), likelihood)


def findings(cases: Sequence[Case], likelihood: Scorer) -> Findings:
    """Compare the ways to answer on cases in which both arms have equally many samples each."""
    rated = [wait_for(_rated(case, likelihood)) for case in cases]
    of = {arm: [of_arm(case, arm) for case in rated] for arm in PARAMETERS}
    samples = {arm: len(cases_of_arm[0].candidates) for arm, cases_of_arm in of.items()}
    weights = fitted_on(rated, folds=5)
    vote, best = MajorityVote(), StoredScore(name=LIKELIHOOD)
    ways = [
        Way(name="one sample, small", worths=one_curves(of[SMALL], 1)[:, 0], flops=_one(of, SMALL)),
        Way(name="one sample, large", worths=one_curves(of[LARGE], 1)[:, 0], flops=_one(of, LARGE)),
        *(
            Way(name=f"vote of {n}, {arm}", worths=_chosen(of[arm], vote), flops=_all(of, arm))
            for arm, n in samples.items()
        ),
        Way(name="vote of all", worths=_chosen(rated, vote), flops=_all(of, SMALL, LARGE)),
        Way(
            name="vote of all, fitted weights",
            worths=weights.worths,
            flops=_all(of, SMALL, LARGE),
        ),
        *(_cascade(rated, samples, threshold) for threshold in THRESHOLDS),
        Way(
            name=f"likeliest of {samples[SMALL]} under large, small",
            worths=_chosen(of[SMALL], best),
            flops=_all(of, SMALL) + _read(of[SMALL]),
        ),
    ]
    single = ways[1]
    return Findings(
        questions=len(cases),
        samples=samples,
        lines=tuple(_line(way, single) for way in ways),
        auroc=_auroc(of[SMALL]),
        weights=weights,
    )


async def _rated(case: Case, likelihood: Scorer) -> Case:
    """The case with the likelihoods of its samples among its scores."""
    scores = {LIKELIHOOD: await likelihood(case.query, case.candidates)}
    return replace(case, candidates=replace(case.candidates, scores=scores))


def _chosen(cases: Sequence[Case], scorer: Scorer) -> Scores:
    """[Q] what the choice among all samples of each question is worth."""

    async def worth(case: Case) -> float:
        answer = (await select(case.query, case.candidates, scorer)).answer
        return 0.0 if answer is None else float(np.nan_to_num(case.verdicts[answer]))

    return np.array([wait_for(worth(case)) for case in cases])


def _cascade(cases: Sequence[Case], samples: dict[str, int], threshold: float) -> Way:
    """The small model's samples, and the large one's where too few of them agree."""
    counts = (samples[SMALL], samples[LARGE])
    weighted = build_scorer("weighted_vote(by=arm_weight(weights={small: 1, large: 8}))")
    cascade = ReplayedCascade(
        n=counts, min_confidence=(threshold,), arms=(SMALL, LARGE), select=weighted
    )
    drawn = [Drawn(case=case, order=range(len(case.candidates)), whole=None) for case in cases]
    spent = wait_for(cascade.outcomes(drawn))
    flops = np.mean([_spent_flops(d, s, counts) for d, s in zip(drawn, spent, strict=True)])
    worths = np.array([d.right(s.answer) for d, s in zip(drawn, spent, strict=True)])
    name = f"cascade, large where under {threshold:.0%} agree"
    return Way(name=name, worths=worths, flops=float(flops))


def _spent_flops(drawn: Drawn, spent: Spent, counts: tuple[int, int]) -> float:
    arms = [SMALL] if spent.samples == counts[0] else [SMALL, LARGE]
    return sum(_generated(of_arm(drawn.case, arm), arm) for arm in arms)


def _generated(case: Case, arm: str) -> float:
    tokens = sum(sample.generated_tokens for sample in case.candidates.samples)
    return 2.0 * PARAMETERS[arm] * tokens


def _all(of: dict[str, list[Case]], *arms: str) -> float:
    """FLOPs a question for all samples of these arms."""
    return sum(float(np.mean([_generated(case, arm) for case in of[arm]])) for arm in arms)


def _one(of: dict[str, list[Case]], arm: str) -> float:
    return _all(of, arm) / len(of[arm][0].candidates)


def _read(cases: Sequence[Case]) -> float:
    """FLOPs a question for the large model to read the prompt and the text of each sample.

    A rating reads the prompt anew: engines keep no log-probabilities of it. The tokens of a text
    are counted as the small model counts them.
    """
    read = [s.prompt_tokens + s.generated_tokens for case in cases for s in case.candidates.samples]
    return 2.0 * LARGE_PARAMETERS * sum(read) / len(cases)


def _line(way: Way, single: Way) -> Line:
    return Line(
        name=way.name,
        accuracy=accuracy_of(way.worths),
        gain=paired_difference(way.worths, single.worths),
        cost=way.flops / single.flops,
    )


def _auroc(cases: Sequence[Case]) -> Accuracy:
    """How often a right sample is likelier than a wrong one; those without an answer are wrong."""
    scores: list[float] = []
    rights: list[bool] = []
    names: list[str] = []
    for case in cases:
        scores += case.candidates.scores[LIKELIHOOD].tolist()
        rights += [a is not None and case.verdicts[a] == 1.0 for a in case.candidates.answers]
        names += [case.query.id] * len(case.candidates)
    return Accuracy(auroc(scores, rights), *auroc_interval(scores, rights, clusters=names))


def as_document(results: Findings) -> dict[str, object]:
    """The results for a file."""
    return {
        "questions": results.questions,
        "samples": results.samples,
        "lines": [asdict(line) for line in results.lines],
        "auroc": results.auroc,
        "weights": results.weights.as_json(),
    }


def table(results: Findings) -> str:
    """The results as plain text."""
    numbers = ", ".join(f"{n} of {arm}" for arm, n in results.samples.items())
    lines = [
        f"{results.questions} questions, {numbers} each",
        "",
        f"{'way to answer':42}  accuracy (95%)       over one of large    cost",
    ]
    for line in results.lines:
        (mean, low, high), gain = line.accuracy, line.gain
        lines.append(
            f"{line.name:42}  {mean:.3f} ({low:.2f}-{high:.2f})  "
            f"{gain.mean:+.3f} ({gain.low:+.2f} to {gain.high:+.2f})  {line.cost:6.2f}"
        )
    value, low, high = results.auroc
    weights = ", ".join(f"{arm} {weight:g}" for arm, weight in results.weights.weights.items())
    return "\n".join(
        [
            *lines,
            "",
            f"likelihood under large, over the samples of small: AUROC {value:.3f} "
            f"({low:.2f}-{high:.2f})",
            f"weights fitted on all questions: {weights}",
            "cost: FLOPs in samples of the large model; prompts of samples are left out, for the "
            "samples of a question share one",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study, print the table, write `results.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_AsItIs)
    parser.add_argument("--questions", type=int, default=48)
    parser.add_argument("--out", type=Path, default=Path("runs") / "two_models")
    options = parser.parse_args(arguments)
    results = study(options.out, options.questions)
    (options.out / "results.json").write_text(json.dumps(as_document(results), indent=2) + "\n")
    print(table(results))


_AsItIs = argparse.RawDescriptionHelpFormatter

if __name__ == "__main__":  # engines start processes that import this file
    run_command(main)
