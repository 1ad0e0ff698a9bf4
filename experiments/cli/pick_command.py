"""Starts `nbest pick`, in the terminal or as a page, and says where the choices are."""

from __future__ import annotations

import sys

from nbest.experiments.cli.display.tables import console
from nbest.experiments.pick.session import PickSession
from nbest.experiments.pick.terminal import keyboard, pick_in_terminal
from nbest.experiments.pick.web import PickServer


def pick_on_screen(session: PickSession) -> None:
    with keyboard() as next_key:
        pick_in_terminal(session, console(), next_key)


def pick_in_browser(session: PickSession, port: int) -> None:
    """Serve the page until Ctrl-C; every choice is on disk before the next question is shown."""
    with PickServer(session, port) as server:
        print(server.url, flush=True)
        print("open this address in a browser on this machine; Ctrl-C ends it", file=sys.stderr)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(f"{session.screen.done} of {session.screen.total} decided", file=sys.stderr)
