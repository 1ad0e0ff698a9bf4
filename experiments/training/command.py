"""`nbest train-verifier`: trains a reward model on what runs hold."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nbest.experiments.cli.display.documents import print_document
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath

if TYPE_CHECKING:
    from nbest.model_backend.verifier.data import Example
    from nbest.model_backend.verifier.settings import VerifierSettings
    from nbest.model_backend.verifier.training import TrainingProgress

Source = Literal["graded", "pairs", "preferences", "tree"]


def add_train_command(app: typer.Typer) -> None:
    """Add `train-verifier` to the command line."""
    line = "nbest train-verifier runs/train --out verifiers/sums --epochs 3"
    app.command("train-verifier", epilog=f"Example: {line}")(train_verifier)


def train_verifier(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run folders.")],
    out: Annotated[
        Path, typer.Option(help="The folder for the verifier: a new one, or that of this training.")
    ],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="graded: right and wrong responses. pairs: every right one against every wrong "
            "one. preferences: what people chose. tree: steps of a search, by what is right below.",
        ),
    ] = "graded",
    base: Annotated[str, typer.Option(help="Any causal language model.")] = "smollm2-135m",
    epochs: Annotated[int, typer.Option(help="Times that every example is seen.")] = 2,
    batch_size: Annotated[int, typer.Option(help="Examples in a step of the optimiser.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="The highest.")] = 5e-5,
    frozen_layers: Annotated[int, typer.Option(help="Lowest layers that stay as they are.")] = 0,
    balance: Annotated[str, typer.Option(help="classes, or none.")] = "classes",
    holdout: Annotated[float, typer.Option(help="Share of the questions to test on.")] = 0.2,
    patience: Annotated[int, typer.Option(help="Evaluations without gain until it stops.")] = 4,
    max_tokens: Annotated[int, typer.Option(help="Of question and response.")] = 1024,
    question_after: Annotated[
        str, typer.Option(help="Read a raw prompt from behind its last such text on.")
    ] = "",
    mixed_precision: Annotated[
        bool | None, typer.Option(help="bfloat16 where it is safe; default: on a GPU.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split, the order and the head.")] = 0,
    extract: Annotated[str | None, typer.Option(help="How an answer is read.")] = None,
    grade: Annotated[str | None, typer.Option(help="How answers are graded.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train a reward model on a run's samples; the same command again goes on, or has ended."""
    from nbest.model_backend.verifier.settings import VerifierSettings

    settings = VerifierSettings(
        base,
        objective="outcome" if source in ("graded", "tree") else "bradley_terry",
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        frozen_layers=frozen_layers,
        balance=balance,  # type: ignore[arg-type]  # the settings check it
        holdout=holdout,
        patience=patience,
        max_tokens=max_tokens,
        mixed_precision=mixed_precision,
        question_after=unescaped(question_after),
        seed=seed,
    )
    document = trained_document(
        runs, out, settings, source, extract, grade, silent if quiet else shown_learning()
    )
    if as_json:
        print_document(document)
    else:
        print(summary(document, out))


def unescaped(text: str) -> str:
    r"""The text with \n, \t and \\ for what they stand for; all else stays as it is."""
    signs = {r"\n": "\n", r"\t": "\t", r"\r": "\r", "\\\\": "\\"}
    return re.sub(r"\\[ntr\\]", lambda match: signs[match[0]], text)


def trained_document(
    runs: Sequence[StrPath],
    out: Path,
    settings: VerifierSettings,
    source: str,
    extract: str | None,
    grade: str | None,
    report: Callable[[TrainingProgress], None],
) -> dict[str, object]:
    """Train a verifier; returns its numbers as a JSON document.

    Where this very training has ended already, they are those that it left in `out`.
    """
    from nbest.experiments.training.report import as_document, card, finished_document
    from nbest.model_backend.verifier.train import split_of
    from nbest.model_backend.verifier.train import train_verifier as train

    examples = examples_of(runs, source, extract, grade)
    if finished := finished_document(out, settings, split_of(examples, settings)):
        return finished
    trained = train(
        examples, settings, out, report=report, describe=lambda verifier: card(verifier, runs)
    )
    return as_document(trained)


def examples_of(
    runs: Sequence[StrPath], source: str, extract: str | None, grade: str | None
) -> Sequence[Example]:
    """The examples that these runs hold, of the kind that `source` names."""
    from nbest.experiments.training.examples import (
        graded_examples,
        preference_examples,
        tree_examples,
    )
    from nbest.model_backend.verifier.data import pairs_of

    examples: Sequence[Example]
    if source == "preferences":
        examples = preference_examples(runs)
    elif source == "pairs":
        examples = pairs_of(dict.fromkeys(graded_examples(runs, extract, grade)))
    elif source == "graded":
        examples = graded_examples(runs, extract, grade)
    elif source == "tree":
        examples = tree_examples(runs, extract, grade)
    else:
        raise InputError(f"from must be graded, pairs, preferences or tree, got {source!r}")
    if not examples:
        raise InputError("pairs need a question with a right and a wrong response, got none")
    return examples


def silent(learning: TrainingProgress) -> None:
    """Show nothing."""


def shown_learning(every_s: float = 5.0) -> Callable[[TrainingProgress], None]:
    """Make a function that prints progress on standard error every few seconds."""
    due_s = 0.0

    def show(now: TrainingProgress) -> None:
        nonlocal due_s
        if now.elapsed_s < due_s and now.step < now.num_steps:
            return
        due_s = now.elapsed_s + every_s
        left_s = now.elapsed_s / max(1, now.step) * (now.num_steps - now.step)
        line = f"step {now.step}/{now.num_steps}, loss {now.loss:.3f}"
        print(f"{line}, held out {now.held_out:.3f}, {left_s:.0f} s left", file=sys.stderr)

    return show


def summary(document: dict[str, object], out: Path) -> str:
    """Sum up the document in a few lines for a terminal."""
    held_out, train = document["held_out"], document["train"]
    assert isinstance(held_out, dict)
    assert isinstance(train, dict)
    auroc = "" if held_out["auroc"] is None else f", AUROC {held_out['auroc']:.3f}"
    lines = [
        f"trained on {train['examples']} examples of {train['questions']} questions, "
        f"{document['steps']} steps, {document['seconds']:.0f} s",
        f"held out: {held_out['examples']} examples of {held_out['questions']} questions: "
        f"accuracy {held_out['accuracy']:.3f}{auroc}",
        f"written to {out}; choose by it: --select 'reward(model=\"{out}\")'",
    ]
    return "\n".join(lines)
