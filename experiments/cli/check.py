"""`nbest check`: counts a run's samples by how much it takes to read a value in them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from nbest.experiments.analysis.check import Checked, Counts


def add_check_command(app: typer.Typer) -> None:
    """Add `check` to the command line."""
    line = "nbest check runs/people --schema person.json"
    app.command(epilog=f"Example: {line}")(check)


def check(
    run: Annotated[str, typer.Argument(help="A run folder or its URI.", show_default=False)],
    schema: Annotated[
        str | None,
        typer.Option(
            help="A JSON schema: a file, or JSON text. Default: that of the run, or any value."
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="json or yaml. Default: that of the run.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Count samples by layer: plain, extracted, repaired, invalid, cut off. It starts no engine."""
    from nbest.experiments.analysis.check import as_document
    from nbest.experiments.analysis.check import check as check_run
    from nbest.experiments.cli.display.documents import print_document
    from nbest.experiments.cli.display.tables import console
    from nbest.experiments.config.output import compact_schema
    from nbest.experiments.language.text import printable
    from nbest.orchestrator.errors import InputError

    if language not in (None, "json", "yaml"):
        raise InputError(f"language must be json or yaml, got {language!r}")
    text = None if schema is None else compact_schema(schema)
    checked = check_run(run, text, language)  # type: ignore[arg-type]  # checked above
    if as_json:
        print_document(as_document(checked))
        return
    console().print(table_of(checked))
    if checked.schema is None:
        print(f"without a schema, any {checked.language.upper()} value is valid")
    for reason, count in checked.reasons:
        print(printable(f"{count:,} not valid: {reason}"))
    if checked.has_gold and not math.isnan(checked.fields.precision):
        shares = (checked.fields.precision, checked.fields.recall)
        print("fields of valid first samples: precision {:.3f}, recall {:.3f}".format(*shares))


def table_of(checked: Checked) -> Table:
    """A line for each way in which samples came about, and a column for each layer."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    names = ("samples", "plain", "extracted", "repaired", "invalid", "cut off", "failed", "valid")
    table.add_column("")
    for name in (*names, *(("right among valid",) if checked.has_gold else ())):
        table.add_column(name, justify="right")
    shown = [(made, some) for made, some in checked.counts.items() if some.samples]
    for made, some in (*shown, *((("all", checked.total),) if len(shown) > 1 else ())):
        table.add_row(made, *_cells(some, checked.has_gold))
    return table


def _cells(counts: Counts, has_gold: bool) -> list[str]:
    layers = counts.layers
    numbers = (
        counts.samples,
        layers["plain"],
        layers["extracted"],
        layers["repaired"],
        counts.invalid,
        counts.truncated,
        counts.failed,
    )
    cells = [f"{number:,}" for number in numbers]
    cells.append(f"{counts.valid / counts.samples:.3f}" if counts.samples else "-")
    if has_gold:
        cells.append(f"{counts.right / counts.graded:.3f}" if counts.graded else "-")
    return cells
