"""`nbest view`: the page of one run or two, served to this user of this machine."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from nbest.experiments.pages.loopback import LoopbackHandler, LoopbackServer
from nbest.experiments.view.background import BackgroundRows
from nbest.experiments.view.documents import question_document, tokens_document
from nbest.experiments.view.viewed_run import Tell, ViewedRun

PACKAGE = "nbest.experiments.view"
COOKIE = "nbest_view"


class ViewServer(LoopbackServer):
    """Serves the questions of runs to those who know the secret; `url` opens the page."""

    def __init__(
        self, runs: Sequence[ViewedRun], port: int = 0, tell: Tell = lambda line: None
    ) -> None:
        super().__init__(_Handler, PACKAGE, COOKIE, port)
        self.runs = runs
        self.lock = threading.Lock()  # a run is read by one request at a time
        self.rows = BackgroundRows(runs, self.lock, tell)
        self.rows.start()

    def server_close(self) -> None:
        """Close the socket, and end the reading of the runs."""
        self.rows.stop()
        super().server_close()


class _Handler(LoopbackHandler):
    server: ViewServer

    def answer_get(self, path: str, query: Mapping[str, str]) -> object:
        if path == "/overview":
            start = query.get("from", "0")
            return self.server.rows.since(int(start)) if start.isdecimal() else None
        with self.server.lock:
            if path == "/find":
                return self._holding(query.get("text", ""))
            run = self._run(query.get("run", "0"))
            if run is None:
                return None
            if path == "/question":
                return question_document(run.question(query.get("id", "")))
            index = query.get("sample", "")
            if path == "/tokens" and index.isdecimal():
                return tokens_document(run.tokens(query.get("id", ""), int(index)))
        return None

    def _run(self, place: str) -> ViewedRun | None:
        is_known = place.isdecimal() and int(place) < len(self.server.runs)
        return self.server.runs[int(place)] if is_known else None

    def _holding(self, text: str) -> list[str]:
        found = [query_id for run in self.server.runs for query_id in run.holding(text)]
        return list(dict.fromkeys(found))
