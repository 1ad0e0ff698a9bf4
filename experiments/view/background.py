"""Reads the questions of runs behind a page that is shown already: a large run takes its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from nbest.experiments.view.documents import heads, overview_rows
from nbest.experiments.view.viewed_run import Tell, ViewedRun
from nbest.orchestrator.errors import error_text

CHUNK = 250  # questions: a tenth of a second
PATIENCE_S = 10.0  # that an answer waits for the next of them


class BackgroundRows:
    """The rows of runs as they are read, by a thread of its own.

    `lock` is held while a run is read: whoever else reads it takes it, too.
    """

    def __init__(self, runs: Sequence[ViewedRun], lock: threading.Lock, tell: Tell) -> None:
        self._runs = runs
        self._lock = lock
        self._tell = tell
        self._heads = heads(runs)
        self._rows: list[dict[str, Any]] = []
        self._error = ""
        self._is_whole = False
        self._is_over = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End the reading, with the chunk that is being read."""
        self._is_over = True
        if self._thread.is_alive():
            self._thread.join()

    def since(self, count: int) -> dict[str, Any]:
        """What has come after the first `count` rows; it waits for the next of them."""
        with self._news:
            self._news.wait_for(lambda: self._is_whole or len(self._rows) > count, PATIENCE_S)
            return {
                "runs": self._heads,
                "rows": self._rows[count:],
                "is_whole": self._is_whole,
                "error": self._error,
            }

    def _read(self) -> None:
        rows = overview_rows(self._runs, CHUNK)
        total = max(run.facts.questions for run in self._runs)
        try:
            while chunk := self._next(rows):
                with self._news:
                    self._rows += chunk
                    self._news.notify_all()
                self._tell(f"{len(self._rows):,} of {total:,} questions read")
                time.sleep(0)  # lets a question that somebody opens go first
        # Whatever the run holds, the page that waits for it has to be told.
        except Exception as error:  # noqa: BLE001
            self._error = error_text(error)
        with self._news:
            self._is_whole = True
            self._news.notify_all()

    def _next(self, rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
        if self._is_over:
            return []
        with self._lock:
            return list(islice(rows, CHUNK))
