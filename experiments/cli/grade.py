"""`nbest grade`: a model says of each stored answer whether it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nbest.experiments.language.text import printable

if TYPE_CHECKING:
    from nbest.experiments.analysis.accuracy import Accuracy
    from nbest.experiments.analysis.grading import Grading


def add_grade_command(app: typer.Typer) -> None:
    """Add `grade` to the command line."""
    line = "nbest grade runs/demo --base-url http://localhost:8000/v1 --name large"
    app.command(epilog=f"Example: {line}")(grade)


def grade(
    run_dir: Annotated[str, typer.Argument(metavar="RUN", help="A run folder or its URI.")],
    name: Annotated[str, typer.Option(help="What the verdicts are stored under.")] = "model",
    model: Annotated[
        str | None,
        typer.Option(
            help="Name, folder or hub id; default: smollm2-135m, or the one model of --base-url."
        ),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Ask an OpenAI-compatible server that runs already.")
    ] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="The environment variable with the server's key.")
    ] = None,
    with_gold: Annotated[
        bool, typer.Option("--with-gold", help="Show the gold answer, and ask where there is one.")
    ] = False,
    criterion: Annotated[
        str, typer.Option(help="What is asked about each answer. Default: whether it is right.")
    ] = "",
    max_tokens: Annotated[int, typer.Option(help="Of a reply.")] = 16,
    limit: Annotated[int | None, typer.Option(help="Questions at most.")] = None,
    backend: Annotated[str, typer.Option(help="vllm, or fake for a rehearsal.")] = "vllm",
    extract: Annotated[str | None, typer.Option(help="How an answer is read.")] = None,
    known: Annotated[
        str | None, typer.Option("--grade", help="What is known: another grader than the run's.")
    ] = None,
    equivalence: Annotated[str | None, typer.Option(help="Which answers are the same.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Have a model say of each different answer whether it is right; resumes.

    The verdicts are stored in the run: `--grade model_verdicts(by=NAME)` of other commands reads
    them. Where the run's own grader knows better, it is said how often the model agrees with it.
    """
    from nbest.experiments.analysis.grading import Asking, grade_run
    from nbest.experiments.cli.display.documents import print_document
    from nbest.experiments.cli.ending import Exit
    from nbest.experiments.cli.pools import tell_progress
    from nbest.experiments.config.endpoints import chosen_model, without_seeds
    from nbest.experiments.questions.reading import ReadingNames

    asking = Asking(
        backend=without_seeds(chosen_model(backend, model, base_url, api_key_env)),
        criterion=criterion,
        with_gold=with_gold,
        max_tokens=max_tokens,
    )
    by = ReadingNames(extract=extract, grade=known, equivalence=equivalence)
    outcome = grade_run(run_dir, asking, name, by=by, limit=limit, tell=tell_progress)
    if as_json:
        print_document(as_document(outcome))
    else:
        print("\n".join(sentences(outcome)))
    if outcome.failed:
        raise typer.Exit(Exit.SOME_ERRORS)


def as_document(outcome: Grading) -> dict[str, object]:
    """The outcome for `--json`; null for what nobody knows."""
    shares = {
        "agreement": outcome.agreement(),
        "agreement_right": outcome.agreement(1.0),
        "agreement_wrong": outcome.agreement(0.0),
    }
    return {
        "name": outcome.name,
        "asked": outcome.asked,
        "failed": outcome.failed,
        "failures": [{"why": why, "count": n} for why, n in outcome.failures.items()],
        "unasked": outcome.unasked,
        **outcome.counts,
        **{key: _share_json(share) for key, share in shares.items()},
        "tokens": outcome.usage.generated_tokens,
        "prompt_tokens": outcome.usage.prompt_tokens,
    }


def sentences(outcome: Grading) -> list[str]:
    """Say what the model has said, and how often it agrees with what is known."""
    counts = outcome.counts
    lines = [
        f"{len(outcome.answers):,} answers: {counts['right']:,} right, {counts['wrong']:,} wrong, "
        f"of {counts['neither']:,} it says neither; {outcome.asked:,} asked about just now "
        f"({outcome.usage.prompt_tokens:,} tokens read, {outcome.usage.generated_tokens:,} written)"
    ]
    lines += [
        f"{count:,} have no verdict: {printable(why)}; the same command asks again"
        for why, count in outcome.failures.items()
    ]
    if outcome.unasked:
        lines.append(f"{outcome.unasked:,} questions have no text: nothing is asked about them")
    for share, what in (
        (outcome.agreement(), "answers whose worth is known: it agrees"),
        (outcome.agreement(1.0), "known to be right: it says so"),
        (outcome.agreement(0.0), "known to be wrong: it says so"),
    ):
        if share.mean == share.mean:  # nan: nothing is known
            lines.append(f"{what} at {share.mean:.3f} ({share.low:.2f} to {share.high:.2f})")
    if not outcome.answers:
        return lines
    return [*lines, f'--grade "model_verdicts(by={outcome.name!r})"']


def _share_json(share: Accuracy) -> dict[str, float] | None:
    return None if share.mean != share.mean else share._asdict()
