"""Shows a run while it goes on: a live bar on a terminal, elsewhere a plain line now and then.

It writes to standard error: standard output belongs to results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol

from nbest.experiments.cli.display.account import account
from nbest.experiments.cli.display.engine_table import engine_table
from nbest.experiments.cli.display.progress_words import CutOffNews, EngineNews, line
from nbest.orchestrator.run.progress import Progress, Report

PLAIN_EVERY_S = 5.0

# News of engines between two plain lines; where a whole cluster goes down, the rest is counted.
MAX_NEWS = 8


class ProgressView(Protocol):
    """Shows snapshots; a context, so that a live line is taken down at the end."""

    def __enter__(self) -> ProgressView: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def show(self, progress: Progress) -> None: ...


@contextmanager
def shown_progress(*, is_quiet: bool = False) -> Iterator[Report]:
    """Show the progress that is reported, and print the account at the end, errors included."""
    if is_quiet:
        yield lambda progress: None
        return
    last: list[Progress] = []
    try:
        with progress_view() as view:

            def report(progress: Progress) -> None:
                last[:] = [progress]
                view.show(progress)

            yield report
    finally:
        for progress in last:
            _say(account(progress))


def progress_view() -> ProgressView:
    """The view that fits standard error: live on a terminal, plain elsewhere."""
    return LiveView() if sys.stderr.isatty() else PlainView()


class PlainView:
    """Prints a line every few seconds, and one when an engine goes down or comes back."""

    def __init__(self) -> None:
        self._due_s = 0.0
        self._last = ""
        self._news = EngineNews()
        self._num_printed = 0  # news since the last line
        self._num_omitted = 0
        self._cut_off = CutOffNews()

    def __enter__(self) -> PlainView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._last:
            self._say_line()

    def show(self, progress: Progress) -> None:
        self._last = line(progress)
        self._tell(self._news.of(progress.engines))
        if warning := self._cut_off.of(progress):
            _say([warning])
        now_s = time.monotonic()
        if now_s >= self._due_s:
            self._due_s = now_s + PLAIN_EVERY_S
            self._say_line()

    def _tell(self, news: Sequence[str]) -> None:
        printed = news[: MAX_NEWS - self._num_printed]
        self._num_printed += len(printed)
        self._num_omitted += len(news) - len(printed)
        _say(printed)

    def _say_line(self) -> None:
        if self._num_omitted:
            _say([f"engines went down or came back {self._num_omitted} times more"])
        _say([self._last])
        self._last = ""
        self._num_printed = self._num_omitted = 0


class LiveView:
    """A bar that stays in its place, and the engines under it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar
        from rich.table import Column

        words = TextColumn("{task.description}", markup=False, table_column=Column(ratio=1))
        self._bar = Bar(BarColumn(bar_width=24), words, expand=True)
        self._task = self._bar.add_task("starting", total=None)
        self._console = Console(stderr=True)
        self._live = Live(self._bar, console=self._console, transient=True)
        self._cut_off = CutOffNews()

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        from rich.console import Group

        self._bar.update(
            self._task,
            description=line(progress),
            completed=progress.queries,
            total=progress.num_queries,
        )
        if warning := self._cut_off.of(progress):
            self._console.print(warning, markup=False)  # above the bar, where it stays
        self._live.update(Group(self._bar, engine_table(progress.engines)))


def _say(lines: Sequence[str]) -> None:
    for text in lines:
        print(text, file=sys.stderr, flush=True)
