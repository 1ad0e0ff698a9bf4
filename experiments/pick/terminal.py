"""`nbest pick` in a terminal: one question after the other, one key a choice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from nbest.experiments.language.text import safe_lines
from nbest.experiments.pick.session import PickSession, Screen

QUIT = "q"
HELP = "1-9 choose  0 none is right  t tie  c comment  s skip  u undo  n/p page  q quit"
TIE_HELP = "1-9 mark what is equally good   t choose all that is marked"
COMMENT = "c"
MOST_SHOWN = 1_500  # characters of a whole prompt; of a longer one the question stands alone

Keys = Callable[[], str]
"""The next key; the empty text at the end of the input."""


def pick_in_terminal(session: PickSession, console: Console, next_key: Keys) -> None:
    """Show questions and take keys until all is decided, the user presses q, or the input ends."""
    while True:
        screen = session.screen
        console.print(render(screen))
        if screen.is_over:
            return
        key = next_key()
        if key in (QUIT, ""):
            return
        if key == COMMENT:
            console.print(Text("a comment, and Enter: ", style="bold"), end="")
            session.comment(read_line(next_key, console))
        elif not session.press(key):
            console.print(Text(f"{safe_lines(key)!r} does nothing here: {HELP}", style="yellow"))


def read_line(next_key: Keys, console: Console) -> str:
    """Read keys up to the end of a line, and show them."""
    typed = ""
    while (key := next_key()) not in ("", "\n", "\r"):
        typed = typed[:-1] if key in ("\x7f", "\b") else typed + key
        console.print(Text(safe_lines(key)), end="")
    console.print()
    return typed


def render(screen: Screen) -> Group:
    """Render a screen as text that cannot act on the terminal, whatever a model wrote."""
    progress = f"{screen.done} of {screen.total} questions decided"
    if screen.is_over:
        return Group(Text(f"{progress}; that is all"))
    pages = f", page {screen.page + 1} of {screen.num_pages}" if screen.num_pages > 1 else ""
    panels = [
        Panel(
            Text(safe_lines(text)),
            title=f"{i}{' (marked)' if i - 1 in screen.marked else ''}",
            title_align="left",
        )
        for i, text in enumerate(screen.texts, start=1)
    ]
    asked = screen.prompt if len(screen.prompt) <= MOST_SHOWN else screen.question
    question = Panel(Text(safe_lines(asked), style="bold"), title="question")
    keys = TIE_HELP if screen.is_tie else HELP
    comment = f"   comment: {safe_lines(screen.comment)}" if screen.comment else ""
    return Group(question, *panels, Text(f"{progress}{pages}{comment}   {keys}", style="dim"))


@contextmanager
def keyboard() -> Iterator[Keys]:
    """Read single keys where standard input is a terminal, else the first letter of each line."""
    if not sys.stdin.isatty():
        yield _first_of_line
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield lambda: sys.stdin.read(1)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _first_of_line() -> str:
    line = sys.stdin.readline()
    return line.strip()[:1] or " " if line else ""
