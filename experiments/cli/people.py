"""`nbest pick`, `export` and `track`: people choose, and runs go on to other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nbest.experiments.pick.session import PickSession


def add_person_commands(app: typer.Typer) -> None:
    """Add `pick`, `export` and `track` to the command line."""
    app.command(epilog="Example: nbest pick runs/demo --web")(pick)
    line = "nbest export runs/demo --format answers --out answers.csv"
    app.command(epilog=f"Example: {line}")(export)
    app.command(epilog="Example: nbest track runs/demo --to mlflow")(track)


def pick(
    run_dir: Annotated[str, typer.Argument(metavar="RUN", help="A run folder or its URI.")],
    web: Annotated[bool, typer.Option("--web", help="As a page of this machine.")] = False,
    name: Annotated[str, typer.Option(help="Who chooses; kept with the choices.")] = "",
    seed: Annotated[int, typer.Option(help="Another order of the candidates.")] = 0,
    port: Annotated[int, typer.Option(help="Of the page; 0 takes a free one.")] = 0,
) -> None:
    """Choose the best sample of each question yourself; the choices are kept in the run."""
    from nbest.experiments.pick.session import PickSession

    session = PickSession(run_dir, by=name, seed=seed)
    if web:
        pick_in_browser(session, port)
    else:
        pick_on_screen(session)


def export(
    run_dir: Annotated[str, typer.Argument(metavar="RUN", help="A run folder or its URI.")],
    what: Annotated[
        str,
        typer.Option(
            "--format",
            help="answers: what each selector chooses, one row a question. preferences: pairs of "
            "chosen and rejected texts. jsonl: what `nbest import` reads. parquet: one row a "
            "sample. inspect: a log for `inspect view`.",
        ),
    ] = "answers",
    selectors: Annotated[
        str | None,
        typer.Option("--select", help="Of the answers; default: those of the run's config."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A file, for answers a .jsonl, .csv or .parquet; else standard output."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write answers, samples, or what people chose, in a form that other programs read."""
    from nbest.experiments.runs.exchange.export import export_run
    from nbest.experiments.runs.selectors import named

    names = named(selectors)
    written = export_run(run_dir, what, out, names, force=force)
    print(f"wrote {written}{'' if out is None else f' to {out}'}", file=sys.stderr)


def track(
    run_dir: Annotated[str, typer.Argument(metavar="RUN", help="A run folder or its URI.")],
    to: Annotated[str, typer.Option(help="wandb (offline) or mlflow (SQLite).")],
    out: Annotated[
        Path | None, typer.Option(help="Where it writes; default: the folder mlruns or wandb-runs.")
    ] = None,
    project: Annotated[str, typer.Option(help="Of W&B, or the experiment of MLflow.")] = "nbest",
) -> None:
    """Write a run to Weights & Biases or MLflow, on this machine: settings, figures, answers."""
    from nbest.experiments.cli.pools import tell_progress
    from nbest.experiments.trackers.send import send
    from nbest.experiments.trackers.tracked import require_tracker, tracked

    require_tracker(to)
    place = out or Path("mlruns" if to == "mlflow" else "wandb-runs")
    next_command = send(tracked(run_dir, tell_progress), to, place, project)
    print(f"wrote {place}: {next_command}")


def pick_on_screen(session: PickSession) -> None:
    """Ask in the terminal, one key a choice."""
    from nbest.experiments.cli.display.tables import console
    from nbest.experiments.pick.terminal import keyboard, pick_in_terminal

    with keyboard() as next_key:
        pick_in_terminal(session, console(), next_key)


def pick_in_browser(session: PickSession, port: int) -> None:
    """Serve the page until Ctrl-C; every choice is on disk before the next question is shown."""
    from nbest.experiments.pick.web import PickServer

    with PickServer(session, port) as server:
        print(server.url, flush=True)
        print("open this address in a browser on this machine; Ctrl-C ends it", file=sys.stderr)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(f"{session.screen.done} of {session.screen.total} decided", file=sys.stderr)
