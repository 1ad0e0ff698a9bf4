"""`nbest --help`: the commands by what they are for, in the order in which people need them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Ask": ("ask", "run"),
    "Look": ("view", "show", "report", "export", "track", "runs"),
    "Choose": ("select", "pick", "check", "grade"),
    "Measure": ("curve", "replay", "verify", "fit-weights", "bench"),
    "Make": ("init", "import", "train-verifier"),
    "Find": ("list", "config", "doctor"),
}
FIRST = 'First: nbest ask "How many days are in a week?" -n 8 --backend fake'
WIDTH = 100


class GroupedCommands(TyperGroup):
    """Commands in groups; one that no group names stands in the last."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands, in the order of the groups."""
        named = [name for names in GROUPS.values() for name in names if name in self.commands]
        return [*named, *sorted(self.commands.keys() - set(named))]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each group."""
        shown: set[str] = set()
        for title, names in self._groups():
            rows = [
                (name, self.commands[name].get_short_help_str(limit=WIDTH))
                for name in names
                if name in self.commands and not self.commands[name].hidden
            ]
            shown |= set(names)
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def _groups(self) -> list[tuple[str, tuple[str, ...]]]:
        known = {name for names in GROUPS.values() for name in names}
        others = tuple(name for name in self.list_commands(None) if name not in known)
        return [*GROUPS.items(), ("Others", others)]
