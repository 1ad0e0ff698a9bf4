"""Study: what a verifier wins over a vote, when it was trained on the same model's samples.

    python -m nbest.experiments.studies.verifier_gain [--quick] [--out runs/verifier_gain]

It samples questions to train on and others to test on, grades them, trains a verifier on the first,
scores the others with it on vLLM, and compares selectors on the same samples. Every step is kept in
the folder, so the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nbest.experiments.cli.display.progress_view import shown_progress
from nbest.experiments.cli.ending import run_command
from nbest.experiments.config.config import load_config
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan
from nbest.experiments.studies.verifier_gain_report import Findings, findings, picture, table
from nbest.experiments.training.command import shown_learning
from nbest.experiments.training.examples import graded_examples
from nbest.experiments.training.report import card
from nbest.model_backend.verifier.settings import VerifierSettings
from nbest.model_backend.verifier.train import train_verifier
from nbest.orchestrator.store.reader import RunReader

CONFIG = Path(__file__).parents[1] / "configs" / "verifier_gain.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large the study is."""

    train_questions: int
    train_samples: int  # a question
    test_questions: int
    test_samples: int  # a question
    epochs: int


FULL = Size(train_questions=700, train_samples=8, test_questions=220, test_samples=16, epochs=3)
QUICK = Size(train_questions=100, train_samples=8, test_questions=40, test_samples=16, epochs=1)


def study(out: Path, size: Size) -> Findings:
    """Run the whole study; what the folder holds already is used."""
    train, test = out / "train", out / "test"
    _sample(train, size.train_questions, 101, size.train_samples, "vote")
    _sample(test, size.test_questions, 202, size.test_samples, "vote")
    verifier = _trained(train, test, out / "verifier", size)
    reward = f"reward(model={json.dumps(str(verifier))})"
    _sample(test, size.test_questions, 202, size.test_samples, reward)
    return findings(test, verifier)


def _sample(run: Path, questions: int, seed: int, n: int, select: str) -> None:
    """Draw what is missing; a changed selector only scores."""
    changes = [
        f"dataset.size={questions}",
        f"dataset.seed={seed}",
        f"strategy.n={n}",
        f"select={json.dumps([select])}",
    ]
    with shown_progress() as report:
        carry_out(make_plan(load_config(CONFIG, changes)), run, report)


def _trained(train: Path, test: Path, out: Path, size: Size) -> Path:
    """The verifier, trained on questions that the test does not ask."""
    if out.exists():
        return out
    settings = VerifierSettings(
        "smollm2-135m",
        epochs=size.epochs,
        learning_rate=1e-4,
        holdout=0.15,
        patience=8,
        mixed_precision=True,
        question_after="\n\n",
    )
    test_questions = {_question(query.prompt) for query in RunReader(test).queries}
    examples = [e for e in graded_examples([train]) if _question(e.prompt) not in test_questions]
    train_verifier(
        examples,
        settings,
        out,
        report=shown_learning(),
        describe=lambda trained: card(trained, [train]),
    )
    return out


def _question(prompt: object) -> str:
    """The question without its worked examples, which differ between the two runs."""
    return str(prompt).rpartition("\n\n")[2]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study, print the table, write `results.json` and `curves.svg`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_AsItIs)
    parser.add_argument("--quick", action="store_true", help="small: a few minutes")
    parser.add_argument("--out", type=Path, help="default: runs/verifier_gain, or ..._quick")
    options = parser.parse_args(arguments)
    default = Path("runs") / ("verifier_gain_quick" if options.quick else "verifier_gain")
    out: Path = options.out or default
    results = study(out, QUICK if options.quick else FULL)
    (out / "results.json").write_text(json.dumps(asdict(results), indent=2) + "\n")
    picture(results, out / "curves.svg")
    print(table(results))


_AsItIs = argparse.RawDescriptionHelpFormatter

if __name__ == "__main__":  # engines start processes that import this file
    run_command(main)
