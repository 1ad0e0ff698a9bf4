"""`nbest fit-weights`: how much the votes of each arm of a run should count."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nbest.experiments.training.arm_weights import FittedWeights


def add_fit_weights_command(app: typer.Typer) -> None:
    """Add `fit-weights` to the command line."""
    app.command("fit-weights", epilog="Example: nbest fit-weights runs/panel")(fit_weights)


def fit_weights(
    run_dir: Annotated[str, typer.Argument(metavar="RUN", help="A run folder or its URI.")],
    folds: Annotated[
        int, typer.Option(help="Parts of the questions; each is measured with the others' weights.")
    ] = 5,
    extract: Annotated[str | None, typer.Option(help="How an answer is read.")] = None,
    grade: Annotated[str | None, typer.Option(help="How answers are graded.")] = None,
    equivalence: Annotated[str | None, typer.Option(help="Which answers are the same.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Fit how much the votes of each arm count, and say what that wins on unseen questions.

    The run is one of a panel, with gold answers. The weights that are printed are fitted on all of
    its questions; their worth is measured on questions that had no part in a fit.
    """
    from nbest.experiments.cli.display.documents import print_document
    from nbest.experiments.cli.run_summary import print_notes, tell_notes
    from nbest.experiments.language.text import printable
    from nbest.experiments.questions.reading import ReadingNames
    from nbest.experiments.training.arm_weights import fit_arm_weights

    by = ReadingNames(extract=extract, grade=grade, equivalence=equivalence)
    fitted = fit_arm_weights(run_dir, folds, by)
    if as_json:
        print_document(fitted.as_json())
    else:
        print("\n".join(map(printable, _sentences(fitted))))
    tell_notes(fitted.notes, as_json)
    print_notes(run_dir, as_json)


def _sentences(fitted: FittedWeights) -> list[str]:
    """Say what the weights are, how steady, and what they win."""
    gain, low, high = (100 * value for value in fitted.gain)
    return [
        f"weights: {_named(fitted.weights)}",
        *(f"  without part {i}: {_named(fold)}" for i, fold in enumerate(fitted.folds)),
        f"accuracy {fitted.fitted.mean:.3f} ({fitted.fitted.low:.2f} to {fitted.fitted.high:.2f}) "
        f"on {fitted.questions} questions, each with weights from the other parts",
        f"{gain:+.2f} points over the vote in which all count alike, {fitted.plain.mean:.3f} "
        f"({low:+.1f} to {high:+.1f})",
        f"--select {shlex.quote(fitted.selector)}",
    ]


def _named(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{arm} {weight:g}" for arm, weight in weights.items())
