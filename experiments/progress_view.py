"""Shows a run while it goes on: one live line on a terminal, a plain line now and then elsewhere.

It writes to standard error: standard output belongs to results.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol

from orchestrator.progress import Progress

PLAIN_EVERY_S = 5.0


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


def progress_view() -> ProgressView:
    """The view that fits where standard error goes."""
    return LiveView() if sys.stderr.isatty() else PlainView()


def rate(progress: Progress) -> float:
    """Generated tokens a second since the first engine was up."""
    seconds = progress.elapsed_s - progress.first_engine_s
    return progress.generated_tokens / seconds if seconds > 0 else 0.0


def seconds_left(progress: Progress) -> float | None:
    """By the pace so far; None while there is none."""
    seconds = progress.elapsed_s - progress.first_engine_s
    if not progress.queries or seconds <= 0:
        return None
    return seconds / progress.queries * (progress.num_queries - progress.queries)


def line(progress: Progress) -> str:
    """A snapshot in words."""
    parts = [
        f"queries {progress.queries}/{progress.num_queries}",
        f"samples {progress.samples_drawn}",
        f"{rate(progress):.0f} tokens/s",
        f"engines {progress.engines_up}/{progress.num_engines}",
        f"errors {progress.errors}",
    ]
    if progress.samples_reused:
        parts.insert(2, f"reused {progress.samples_reused}")
    if not progress.engines_up and not progress.generated_tokens:
        parts.append(f"starting {progress.elapsed_s:.0f} s")
    elif (left := seconds_left(progress)) is not None:
        parts.append(f"{left:.0f} s left")
    return "  ".join(parts)


class PlainView:
    """A line every few seconds, for logs and pipes."""

    def __init__(self) -> None:
        self._due_s = 0.0
        self._last = ""

    def __enter__(self) -> PlainView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._last:
            print(self._last, file=sys.stderr, flush=True)

    def show(self, progress: Progress) -> None:
        self._last = line(progress)
        now_s = time.monotonic()
        if now_s >= self._due_s:
            print(self._last, file=sys.stderr, flush=True)
            self._due_s = now_s + PLAIN_EVERY_S
            self._last = ""


class LiveView:
    """A bar that stays in its place."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            BarColumn(bar_width=24),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None)

    def __enter__(self) -> LiveView:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, progress: Progress) -> None:
        self._bar.update(
            self._task,
            description=line(progress),
            completed=progress.queries,
            total=progress.num_queries,
        )
