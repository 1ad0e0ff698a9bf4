"""`nbest verify`: draws stored samples again and says how many come out the same."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nbest.experiments.analysis.verify import Verification

SHOWN = 10  # samples that differ, or that could not be drawn


def add_verify_command(app: typer.Typer) -> None:
    """Add `verify` to the command line."""
    line = "nbest verify experiments/configs/demo.yaml --out runs/demo --sample 50"
    app.command(epilog=f"Example: {line}")(verify)


def verify(
    config: Annotated[
        str, typer.Argument(help="The YAML file of the run, or its task.", show_default=False)
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=C", help="Change a value of the config."),
    ] = None,
    out: Annotated[str | None, typer.Option(help="Run folder or URI; default: runs/NAME.")] = None,
    sample: Annotated[int, typer.Option(help="How many samples to draw again.")] = 50,
    seed: Annotated[int, typer.Option(help="Of the choice of them.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Draw stored samples again, here, and count those that are bitwise equal.

    The config is yours, not the one in the folder: a folder may come from anybody, and a config
    names models, servers and code.
    """
    from nbest.experiments.analysis.verify import verify as verify_run
    from nbest.experiments.cli.display.documents import print_document
    from nbest.experiments.cli.ending import Exit
    from nbest.experiments.language.text import printable
    from nbest.experiments.runs.plan import make_plan
    from nbest.experiments.tasks.named import load_task_or_file

    plan = make_plan(load_task_or_file(config, set_ or ()))
    if sys.stderr.isatty():
        print(f"drawing {sample:,} samples again, once the model is up", file=sys.stderr)
    outcome = verify_run(plan, out or f"runs/{plan.config.name}", sample, seed)
    if as_json:
        print_document(as_document(outcome))
    else:
        print("\n".join(map(printable, sentences(outcome))))
    if outcome.failed:
        raise typer.Exit(Exit.SOME_ERRORS)


def as_document(outcome: Verification) -> dict[str, object]:
    """The outcome for `--json`."""
    share, low, high = outcome.equal if outcome.drawn else (None, None, None)
    return {
        "stored": outcome.stored,
        "drawn": len(outcome.drawn),
        "failed": len(outcome.failed),
        "equal": sum(one.is_equal for one in outcome.compared),
        "share": share,
        "low": low,
        "high": high,
        "rows": [asdict(one) for one in outcome.compared],
        "packages": list(outcome.packages),
    }


def sentences(outcome: Verification) -> list[str]:
    """The outcome in words: how many are equal, and where the others begin to differ."""
    drawn, failed, equal = outcome.drawn, outcome.failed, outcome.equal
    others = [one for one in drawn if not one.is_equal]
    share = f" ({equal.mean:.3f}, 95% {equal.low:.2f} to {equal.high:.2f})" if drawn else ""
    same = f"{len(drawn) - len(others):,} of {len(drawn):,} samples are bitwise equal{share}"
    lines = [f"{same}; the run has {outcome.stored:,}"]
    for one in others[:SHOWN]:
        where = "" if one.differs_at is None else f" from token {one.differs_at:,} on"
        lines.append(f"{one.query_id}, sample {one.index}: differs{where}")
    lines += [f"{one.query_id}, sample {one.index}: {one.error}" for one in failed[:SHOWN]]
    if (hidden := max(0, len(others) - SHOWN) + max(0, len(failed) - SHOWN)) > 0:
        lines.append(f"and {hidden:,} more")
    return [*lines, *outcome.packages]
