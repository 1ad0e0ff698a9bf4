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
HELP = "1-9 choose   s skip   u undo   n/p next/previous page   q quit"

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
        if not session.press(key):
            console.print(Text(f"{safe_lines(key)!r} does nothing here: {HELP}", style="yellow"))


def render(screen: Screen) -> Group:
    """Render a screen as text that cannot act on the terminal, whatever a model wrote."""
    progress = f"{screen.done} of {screen.total} questions decided"
    if screen.is_over:
        return Group(Text(f"{progress}; that is all"))
    pages = f", page {screen.page + 1} of {screen.num_pages}" if screen.num_pages > 1 else ""
    panels = [
        Panel(Text(safe_lines(text)), title=str(i), title_align="left")
        for i, text in enumerate(screen.texts, start=1)
    ]
    question = Panel(Text(safe_lines(screen.question), style="bold"), title="question")
    return Group(question, *panels, Text(f"{progress}{pages}   {HELP}", style="dim"))


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
