"""`nbest import`, `curve`, `replay` and `report`: what is done with stored samples."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import without_password

if TYPE_CHECKING:
    from nbest.experiments.analysis.curves.of_run import Curves


def add_pool_commands(app: typer.Typer) -> None:
    """Add `import`, `curve`, `replay` and `report` to the command line."""
    line = "nbest import pool.jsonl --out runs/pool --grade number"
    app.command("import", epilog=f"Example: {line}")(import_)
    line = "nbest curve runs/demo --select vote,mean_logprob --k 1,4,16"
    app.command(epilog=f"Example: {line}")(curve)
    line = "nbest replay runs/pool --strategy adaptive --max-n 64"
    app.command(epilog=f"Example: {line}")(replay)
    line = "nbest report runs/demo runs/other --out report.html"
    app.command(epilog=f"Example: {line}")(report)


def replay(
    run_dir: Annotated[str, typer.Argument(metavar="RUN", help="A run folder or its URI.")],
    strategy: Annotated[
        str,
        typer.Option(
            help="adaptive, or with a rule: adaptive(rule=beta(confidence=0.9)), "
            "adaptive(rule=reservation(cost=0.02), select=score(name=verifier)); "
            "deep_conf(window=512); budget(average=8); race(rule=json); "
            "cascade(n=[16,8], min_confidence=[0.7], arms=[small,large]). On a searched run, a "
            "search over its steps: beam(width=2), rebase, particle_filter(n=8). On a run with "
            "`output`: corrected(retries=0)."
        ),
    ] = "adaptive",
    max_n: Annotated[int, typer.Option(help="Samples of a question at most.")] = 64,
    shuffles: Annotated[int, typer.Option(help="Random orders of each question.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the orders.")] = 0,
    extract: Annotated[str | None, typer.Option(help="How an answer is read.")] = None,
    grade: Annotated[str | None, typer.Option(help="How answers are graded.")] = None,
    equivalence: Annotated[str | None, typer.Option(help="Which answers are the same.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """What a strategy would have spent on stored samples, and how right it would have been.

    Without gold answers: what it would have spent, and how often it answers as all samples do.
    """
    from nbest.experiments.analysis.replay.replay import replay as replay_run
    from nbest.experiments.analysis.replay.trees import grows_a_tree, replay_tree
    from nbest.experiments.analysis.replay.view import sentences
    from nbest.experiments.cli.display.documents import print_document
    from nbest.experiments.cli.run_summary import print_notes, tell_notes

    if grows_a_tree(strategy):
        found = replay_tree(run_dir, strategy, extract, grade, equivalence)
        if as_json:
            print_document(found.as_json())
        else:
            print("\n".join(found.sentences()))
        return print_notes(run_dir, as_json)
    outcome = replay_run(
        run_dir, strategy, max_n, shuffles, seed, extract, grade, tell_progress, equivalence
    )
    if as_json:
        print_document(outcome.as_json())
    else:
        print("\n".join(sentences(outcome, max_n)))
    tell_notes(outcome.notes, as_json)
    print_notes(run_dir, as_json)


def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run folders or their URIs.")],
    out: Annotated[Path, typer.Option(help="The page, one HTML file.")] = Path("report.html"),
    selectors: Annotated[
        str | None, typer.Option("--select", help="Names; default: those of each run's config.")
    ] = None,
    extract: Annotated[str | None, typer.Option(help="How an answer is read.")] = None,
    grade: Annotated[str | None, typer.Option(help="How answers are graded.")] = None,
    equivalence: Annotated[str | None, typer.Option(help="Which answers are the same.")] = None,
    input_price: Annotated[float, typer.Option(help="Dollars a million tokens read.")] = 0.0,
    output_price: Annotated[float, typer.Option(help="Dollars a million generated.")] = 0.0,
    parameters: Annotated[float, typer.Option(help="Of the model, e.g. 135e6, for FLOPs.")] = 0.0,
    questions: Annotated[int, typer.Option(help="Shown of each sort, with candidates.")] = 8,
    samples: Annotated[
        Path | None,
        typer.Option(help="Write the page of `nbest view` there, too, and link questions to it."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """A page to look at: what choosing among samples wins, what it costs, where it fails."""
    from nbest.experiments.questions.reading import ReadingNames
    from nbest.experiments.report.costs import Prices
    from nbest.experiments.report.page import write_report
    from nbest.experiments.report.samples_page import samples_link, write_samples

    prices = Prices(input_price=input_price, output_price=output_price, parameters=parameters)
    by = ReadingNames(extract=extract, grade=grade, equivalence=equivalence)
    link = "" if samples is None else samples_link(samples, out)
    page = write_report(
        runs,
        out,
        selectors,
        prices,
        shown=questions,
        samples=link,
        force=force,
        tell=tell_progress,
        by=by,
    )
    print(page)
    if samples is not None:
        print(write_samples(runs, samples, selectors, by, force=force, tell=tell_progress))


def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Of one program, see below.")
    ],
    out: Annotated[str, typer.Option(help="Run folder or URI.")],
    extract: Annotated[str, typer.Option(help="How an answer is read in a text.")] = "whole_text",
    grade: Annotated[str, typer.Option(help="How answers are graded, e.g. number.")] = "exact",
) -> None:
    """Make a run of samples that were made elsewhere; the same again changes nothing.

    Files are told by what they hold: logs of Inspect, samples of lm-eval, NeMo-Skills, vllm
    run-batch, large_language_monkeys, search-and-learn and HumanEval, and pools in a format of our
    own, whose line is {"id": "q0", "gold": "33", "samples": [{"answer": "33", "tokens": 2141}]}. A
    sample of a pool may have text, reasoning, arm, logprobs, finish_reason and scores; a line a
    prompt, and as cluster the template of its question.
    """
    from nbest.experiments.runs.exchange.import_pool import import_pool

    imported = import_pool(files, out, extract=extract, grade=grade, tell=tell_progress)
    scores = f", scores of {', '.join(imported.scorers)}" if imported.scorers else ""
    place = without_password(out)
    print(
        f"{imported.format}: {imported.queries} questions, {imported.samples} samples{scores} "
        f"in {place}"
    )


def curve(
    run_dir: Annotated[str, typer.Argument(metavar="RUN", help="A run folder or its URI.")],
    selectors: Annotated[
        str | None, typer.Option("--select", help="Names; default: those of the run's config.")
    ] = None,
    ks: Annotated[
        str, typer.Option("--k", help="Numbers of samples, e.g. 1,2,4; default: powers of two.")
    ] = "",
    extract: Annotated[str | None, typer.Option(help="How an answer is read.")] = None,
    grade: Annotated[str | None, typer.Option(help="How answers are graded.")] = None,
    equivalence: Annotated[str | None, typer.Option(help="Which answers are the same.")] = None,
    beyond: Annotated[
        str, typer.Option(help="Coverage of more samples than were drawn, e.g. 1000,10000.")
    ] = "",
    g_pass: Annotated[
        str,
        typer.Option(
            help="How often at least such a share of k samples is right, e.g. 0.5,1; 1 is pass^k."
        ),
    ] = "",
    plot: Annotated[Path | None, typer.Option(help="Draw them: a .svg, .png or .pdf.")] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON document: a row for each selector and k."),
    ] = False,
) -> None:
    """Accuracy against the number of samples, over all subsets of those that are stored."""
    from nbest.experiments.analysis.curves.of_run import curves_of, json_rows
    from nbest.experiments.analysis.curves.view import picture_format, plot_curves
    from nbest.experiments.cli.display.documents import print_document

    more = numbers(beyond) or ()
    if plot is not None:
        picture_format(plot)  # refuse a wrong name before the work
    curves = curves_of(
        run_dir, selectors, numbers(ks), extract, grade, equivalence, more, shares(g_pass)
    )
    if plot is not None:
        plot_curves(curves, plot)
        print(f"wrote {plot}", file=sys.stderr)
    if as_json:
        arms = None if curves.arms is None else curves.arms.as_json()
        document = {"rows": json_rows(curves), "arms": arms, "notes": list(curves.notes)}
        print_document(document)
    else:
        _print_curves(curves)


def _print_curves(curves: Curves) -> None:
    """Print the table of curves, that of the arms, and what is to be known of both."""
    from nbest.experiments.analysis.curves.arms import best_arm_sentence
    from nbest.experiments.analysis.curves.view import arms_view, curve_table
    from nbest.experiments.cli.display.tables import console
    from nbest.experiments.language.text import printable

    console().print(curve_table(curves))
    if curves.arms is not None:
        print()
        console().print(arms_view(curves.arms))
        print(printable(best_arm_sentence(curves.arms)))
    for k, estimate in curves.beyond.items():
        print(
            f"any right of {k:,}: {estimate.coverage:.3f} if a beta-binomial law holds that is "
            f"fitted to what was drawn, {estimate.low:.2f} to {estimate.high:.2f} if any of those "
            "with questions that are never solved does"
        )
    for note in curves.notes:
        print(printable(note))


def tell_progress(line: str) -> None:
    """Say how far a command has come, where standard error is a terminal."""
    if sys.stderr.isatty():
        from nbest.experiments.language.text import printable

        print(printable(line), file=sys.stderr)


def shares(text: str) -> tuple[float, ...]:
    """Read `0.5,1` as shares; none for an empty text."""
    try:
        return tuple(dict.fromkeys(float(part) for part in text.split(",") if part.strip()))
    except ValueError:
        raise InputError(f"g_pass must be shares with commas between, got {text!r}") from None


def numbers(text: str) -> tuple[int, ...] | None:
    """Read `1,2,4` as numbers; None for an empty text."""
    if not text.strip():
        return None
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise InputError(f"k must be whole numbers with commas between, got {text!r}") from None
