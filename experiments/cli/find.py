"""`nbest list`, `config`, `runs`, `init`, `doctor`: what there is, and how to begin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from nbest.experiments.catalogue.parts import Listed
    from nbest.experiments.catalogue.run_folders import RunListed

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def add_find_commands(app: typer.Typer) -> None:
    """Add `list`, `config`, `runs`, `init` and `doctor` to the command line."""
    app.command("list", epilog="Example: nbest list selectors")(list_)
    app.command(epilog="Example: nbest config sampling.temperature")(config)
    app.command(epilog="Example: nbest runs runs")(runs)
    app.command(epilog="Example: nbest init json --out people")(init)
    app.command()(doctor)


def list_(
    kind: Annotated[
        str | None, typer.Argument(help="selectors, extractors, ...; without it: all kinds.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the names that configs and options take: selectors, extractors, graders, plugins, ..."""
    from nbest.experiments.catalogue.parts import KINDS, listed
    from nbest.experiments.cli.display.documents import print_document
    from nbest.experiments.cli.display.tables import console, plain_table
    from nbest.experiments.language.text import printable, suggestion
    from nbest.orchestrator.errors import InputError

    if kind is not None and kind not in KINDS:
        raise InputError(f"no kind named {kind!r}{suggestion(kind, KINDS)}")
    found: dict[str, list[Listed]] = {
        name: listed(name) for name in (KINDS if kind is None else (kind,))
    }
    if as_json:
        print_document({name: [one.as_json() for one in some] for name, some in found.items()})
        return
    for name, some in found.items():
        if kind is None:
            print(f"\n{name}" + ("" if some else ": none"))
        table = plain_table("name", "what it is", "from") if some else None
        for one in some:
            assert table is not None
            table.add_row(*map(printable, (one.name, one.what, one.origin)))
        if table is not None:
            console().print(table)


def config(
    key: Annotated[
        str | None, typer.Argument(help="A key, or what keys begin with; without it: all.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Print the config of a run folder, to run it again.")
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of a config, for editors.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what the keys of a config mean, with their defaults."""
    from nbest.experiments.cli.display.documents import print_document
    from nbest.experiments.cli.display.tables import console, plain_table
    from nbest.experiments.config.config import Config
    from nbest.experiments.config.reference import key_tables
    from nbest.experiments.config.short_forms import with_short_forms
    from nbest.orchestrator.errors import InputError
    from nbest.orchestrator.requirements import did_you_mean

    if run is not None:
        from nbest.experiments.config.stored import stored_config_text
        from nbest.orchestrator.store.reader import RunReader

        print(stored_config_text(RunReader(run)), end="")
        return
    if schema:
        print(json.dumps(with_short_forms(Config.model_json_schema()), indent=2))
        return
    rows = {(row.key, row.text): row for table in key_tables() for row in table.rows}
    wanted = [row for row in rows.values() if key is None or _begins(row.key, key)]
    if key is not None and not wanted:
        near = did_you_mean(key, [row.key for row in rows.values()])
        raise InputError(f"no config key named {key!r}{near} (nbest config lists all)")
    if as_json:
        keys = [{"key": row.key, "default": row.default, "text": row.text} for row in wanted]
        print_document({"keys": keys})
        return
    table = plain_table("key", "default", "what it says")
    for row in wanted:
        table.add_row(row.key, row.default, row.text)
    console().print(table)


def _begins(key: str, wanted: str) -> bool:
    return key == wanted or key.startswith(f"{wanted.rstrip('.')}.")


def runs(
    folder: Annotated[str, typer.Argument(help="The folder that holds run folders.")] = "runs",
    as_json: Json = False,
) -> None:
    """List the runs of a folder: when they were made, of what, and how far they are."""
    from nbest.experiments.catalogue.run_folders import runs_in
    from nbest.experiments.cli.display.documents import print_document

    found = runs_in(folder)
    if as_json:
        print_document({"runs": [one.as_json() for one in found]})
        return
    if not found:
        print(f"no runs in {folder}: nbest run CONFIG.yaml makes one")
        return
    from nbest.experiments.cli.display.tables import console

    console().print(_run_table(found))


def _run_table(found: list[RunListed]) -> Table:
    from nbest.experiments.cli.display.tables import plain_table
    from nbest.experiments.language.text import printable

    table = plain_table("run", "made", "model", "questions", "ended", "selectors")
    for one in found:
        table.add_row(*map(printable, one.cells()))
    return table


def init(
    task: Annotated[str, typer.Argument(help="own, choice, json, sql, code or gsm8k.")],
    out: Annotated[Path | None, typer.Option(help="The folder; default: the task's name.")] = None,
) -> None:
    """Write a config and ten questions of a kind of task, to begin with; they run as they are."""
    from nbest.experiments.starters.write import write_starter

    config_file, *others = write_starter(task, Path(task) if out is None else out)
    print(f"wrote {config_file}, {', '.join(path.name for path in others)}")
    print(f"next: nbest run {config_file}")


def doctor(as_json: Json = False) -> None:
    """Say what is installed, what works, and what to do about the rest."""
    from nbest.experiments.cli.display.documents import print_document
    from nbest.experiments.cli.doctor import findings, print_findings
    from nbest.experiments.cli.ending import Exit

    listed = findings()
    if as_json:
        print_document({"findings": [finding.as_json() for finding in listed]})
    else:
        print_findings(listed)
    if any(finding.is_fault for finding in listed):
        raise typer.Exit(Exit.FAILED)
