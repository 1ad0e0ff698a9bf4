"""A run and its engines in words, for any display.

It knows no terminal and no clock.
"""

from __future__ import annotations

from collections.abc import Iterable

from nbest.experiments.analysis.table.sample_counts import MANY
from nbest.experiments.language.text import printable
from nbest.orchestrator.engines.history import EngineView
from nbest.orchestrator.run.progress import Progress

FEWEST = 40  # answers from which a share is worth a warning


def rate(progress: Progress) -> float:
    """Generated tokens a second since the first engine was up."""
    seconds = progress.elapsed_s - progress.first_engine_s
    return progress.generated_tokens / seconds if seconds > 0 else 0.0


def seconds_left(progress: Progress) -> float | None:
    """The seconds that are left at the pace so far; None before the first query has ended."""
    seconds = progress.elapsed_s - progress.first_engine_s
    if not progress.queries or seconds <= 0:
        return None
    return seconds / progress.queries * (progress.num_queries - progress.queries)


def duration(seconds: float) -> str:
    """A time in the unit that suits it.

    >>> duration(34.2), duration(600), duration(9000)
    ('34 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where it is not one.

    >>> counted(1, "restart"), counted(2, "restart")
    ('1 restart', '2 restarts')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def line(progress: Progress) -> str:
    """Describe a snapshot in one line."""
    parts = [f"queries {progress.queries}/{progress.num_queries}"]
    parts.append(f"samples {progress.samples_drawn}{_by_status(progress)}")
    if progress.samples_reused:
        parts.append(f"reused {progress.samples_reused}")
    parts.append(f"{rate(progress):.0f} tokens/s")
    parts.append(f"engines {progress.engines_up}/{progress.num_engines}")
    parts.append(f"errors {progress.errors}")
    if progress.quarantined:
        parts.append(f"quarantined {progress.quarantined}")
    if not progress.engines_up and not progress.generated_tokens:
        parts.append(f"starting {duration(progress.elapsed_s)}")
    elif (left := seconds_left(progress)) is not None:
        parts.append(f"{duration(left)} left")
    return "  ".join(parts)


def _by_status(progress: Progress) -> str:
    """How many answers were lost, in brackets; empty where none was."""
    counts = {
        "cut off": progress.answers_cut_off,
        "failed": progress.answers_failed,
        "aborted": progress.answers_aborted,
    }
    lost = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    return f" ({lost})" if lost else ""


def cut_off_warning(progress: Progress) -> str:
    """Say, while there is time, that many answers are cut off; empty where few are."""
    drawn, cut_off = progress.answers_drawn, progress.answers_cut_off
    if drawn < FEWEST or cut_off <= MANY * drawn:
        return ""
    return f"{cut_off / drawn:.0%} of the samples so far are cut off: raise sampling.max_tokens"


class CutOffNews:
    """Tells once that many answers are cut off."""

    def __init__(self) -> None:
        self._is_told = False

    def of(self, progress: Progress) -> str:
        """The warning, the first time that there is one; else empty."""
        warning = "" if self._is_told else cut_off_warning(progress)
        self._is_told = self._is_told or bool(warning)
        return warning


class EngineNews:
    """Tells which engines went down or came back since the last snapshot.

    A first start is not news: the progress line counts the engines that are up.
    """

    def __init__(self) -> None:
        self._last: dict[str, EngineView] = {}

    def of(self, engines: Iterable[EngineView]) -> list[str]:
        """A line for each engine that changed, in their order."""
        news = []
        for engine in engines:
            before = self._last.get(engine.name, EngineView(name=engine.name))
            self._last[engine.name] = engine
            if what := _change(before, engine):
                restarts = f" ({counted(engine.restarts, 'restart')})" if engine.restarts else ""
                news.append(f"{printable(engine.name)} {what}{restarts}")
        return news


def _change(before: EngineView, now: EngineView) -> str:
    if now.state == "down":
        return "" if before.state == "down" else "down"
    is_back = before.state == "down" or now.restarts > before.restarts
    return "up again" if now.state == "up" and is_back else ""
