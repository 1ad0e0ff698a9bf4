"""`nbest view` and `nbest show`: the questions and samples of a run, in a browser or a terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nbest.experiments.view.viewed_run import ViewedRun

Selectors = Annotated[
    str | None, typer.Option("--select", help="Names; default: those of the run's config.")
]
Extract = Annotated[str | None, typer.Option(help="How an answer is read.")]
Grade = Annotated[str | None, typer.Option(help="How answers are graded.")]
EquivalenceName = Annotated[str | None, typer.Option(help="Which answers are the same.")]


def add_look_commands(app: typer.Typer) -> None:
    """Add `view` and `show` to the command line."""
    line = "nbest view runs/demo --out demo.html"
    app.command(epilog=f"Example: {line}")(view)
    line = "nbest show runs/demo QUESTION --sample 0 --alternatives"
    app.command(epilog=f"Example: {line}")(show)


def view(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN [RUN]", help="A run folder or its URI, or two.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Write the page as one .html file, and serve nothing.")
    ] = None,
    questions: Annotated[
        int, typer.Option(help="With --out: questions whose samples are in the file.")
    ] = 200,
    selectors: Selectors = None,
    extract: Extract = None,
    grade: Grade = None,
    equivalence: EquivalenceName = None,
    port: Annotated[int, typer.Option(help="Of the page; 0 takes a free one.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Look at every question and sample of a run, on a page of this machine; two side by side."""
    from nbest.experiments.cli.pools import tell_progress
    from nbest.experiments.view.page_file import write_page
    from nbest.experiments.view.server import ViewServer
    from nbest.orchestrator.errors import InputError

    if len(runs) > 2:
        raise InputError(f"runs must be one or two, got {len(runs)}")
    opened = [_opened(run, selectors, extract, grade, equivalence) for run in runs]
    if out is not None:
        print(write_page(opened, out, questions, force=force, tell=tell_progress))
        return
    with ViewServer(opened, port, tell_progress) as server:
        print(server.url, flush=True)
        print("open this address in a browser on this machine; Ctrl-C ends it", file=sys.stderr)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(file=sys.stderr)


def show(
    run: Annotated[str, typer.Argument(help="A run folder or its URI.", show_default=False)],
    question: Annotated[
        str | None, typer.Argument(help="The id of a question; without it: all questions.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(help="Show this sample of the question whole.")
    ] = None,
    alternatives: Annotated[
        bool, typer.Option("--alternatives", help="With the tokens that were least probable.")
    ] = False,
    only: Annotated[
        str | None,
        typer.Option(help="right, wrong, contested, cut off, selectors differ or abstained."),
    ] = None,
    limit: Annotated[int, typer.Option(help="Questions in the list.")] = 30,
    selectors: Selectors = None,
    extract: Extract = None,
    grade: Grade = None,
    equivalence: EquivalenceName = None,
) -> None:
    """Show the questions of a run, one question with its samples, or one sample, here."""
    from nbest.experiments.cli.display.looking import (
        print_question,
        print_questions,
        print_sample,
    )
    from nbest.orchestrator.errors import InputError

    opened = _opened(run, selectors, extract, grade, equivalence)
    if question is None:
        if sample is not None or alternatives:
            raise InputError("question must be given with --sample and --alternatives")
        return print_questions(opened, only, limit)
    if sample is None and not alternatives:
        return print_question(opened, question)
    print_sample(opened, question, sample or 0, alternatives)


def _opened(
    run: str,
    selectors: str | None,
    extract: str | None,
    grade: str | None,
    equivalence: str | None,
) -> ViewedRun:
    """A run to look at, by the options that both commands have."""
    from nbest.experiments.questions.reading import ReadingNames
    from nbest.experiments.runs.selectors import named
    from nbest.experiments.view.viewed_run import ViewedRun

    names = named(selectors)
    by = ReadingNames(extract=extract, grade=grade, equivalence=equivalence)
    return ViewedRun(run, names, by)
