"""Which options of `nbest ask` go together: an option that would count for nothing is refused."""

from __future__ import annotations

import typer

from nbest.orchestrator.errors import InputError

_WITHOUT_SCHEMA = ("selector", "extract", "equivalence", "rule", "race")
_WITH_SCHEMA = ("mode", "repair", "corrections", "retries", "choose")


def require_fitting_options(context: typer.Context, schema: str | None) -> None:
    """Raise InputError where an option is given that means nothing with, or without, a schema."""
    strangers = _WITHOUT_SCHEMA if schema is not None else _WITH_SCHEMA
    names = {str(parameter.name): parameter.opts[0] for parameter in context.command.params}
    for name in strangers:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            how = "be left out with --schema" if schema is not None else "go with --schema"
            raise InputError(f"{names[name]} must {how}, got {context.params.get(name)!r}")
