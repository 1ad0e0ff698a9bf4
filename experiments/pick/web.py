"""`nbest pick --web`: the same choices on a page of this machine."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus

from nbest.experiments.pages.loopback import LoopbackHandler, LoopbackServer, Refused
from nbest.experiments.pick.session import PickSession

COOKIE = "nbest_pick"


class PickServer(LoopbackServer):
    """Serves one session to those who know the secret; `url` opens it."""

    def __init__(self, session: PickSession, port: int = 0) -> None:
        super().__init__(_Handler, "nbest.experiments.pick", COOKIE, port)
        self.session = session
        self.lock = threading.Lock()


class _Handler(LoopbackHandler):
    server: PickServer

    def answer_get(self, path: str, query: Mapping[str, str]) -> object:
        return self._screen() if path == "/screen" else None

    def answer_post(self, path: str, body: object) -> object:
        if path != "/press":
            return None
        if not isinstance(body, dict) or not {"key", "query_id"} <= body.keys():
            raise Refused(HTTPStatus.BAD_REQUEST)
        session = self.server.session
        with self.server.lock:
            is_current = body["query_id"] == session.screen.query_id
            if is_current and isinstance(body.get("comment"), str):
                session.comment(body["comment"])
            is_done = is_current and session.press(str(body["key"]))
        if not is_done:  # meant for another question, or for none
            raise Refused(HTTPStatus.CONFLICT)
        return self._screen()

    def _screen(self) -> object:
        with self.server.lock:
            return asdict(self.server.session.screen)
