"""What a run shows of itself: a line now and then in a log, one line in its place on a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.progress_view import (
    LiveView,
    PlainView,
    ProgressView,
    line,
    progress_view,
    rate,
    seconds_left,
)
from orchestrator.progress import Progress

ROOT = Path(__file__).parents[2]

# A quarter done, ten seconds after the first engine was up.
PROGRESS = Progress(
    queries=8,
    num_queries=32,
    errors=1,
    samples_drawn=128,
    samples_reused=0,
    generated_tokens=500,
    engines_up=2,
    num_engines=3,
    elapsed_s=14.0,
    first_engine_s=4.0,
)
STARTING = replace(
    PROGRESS,
    queries=0,
    errors=0,
    samples_drawn=0,
    generated_tokens=0,
    engines_up=0,
    elapsed_s=9.0,
    first_engine_s=0.0,
)


def test_a_snapshot_in_words() -> None:
    assert line(PROGRESS) == (
        "queries 8/32  samples 128  50 tokens/s  engines 2/3  errors 1  30 s left"
    )


def test_reused_samples_are_told_apart_if_there_are_any() -> None:
    assert "samples 128  reused 7  50 tokens/s" in line(replace(PROGRESS, samples_reused=7))


def test_while_engines_start_it_says_for_how_long() -> None:
    said = "queries 0/32  samples 0  0 tokens/s  engines 0/3  errors 0  starting 9 s"
    assert line(STARTING) == said


def test_the_rate_counts_from_the_first_engine() -> None:
    """Half a minute of loading a model says nothing about its speed."""
    assert rate(PROGRESS) == 50.0
    assert rate(replace(PROGRESS, elapsed_s=4.0)) == 0.0


def test_the_time_left_is_by_the_pace_so_far() -> None:
    assert seconds_left(PROGRESS) == 30.0  # 10 s for 8 of 32
    assert seconds_left(replace(PROGRESS, queries=32)) == 0.0
    assert seconds_left(replace(PROGRESS, queries=0)) is None
    assert seconds_left(replace(PROGRESS, elapsed_s=4.0)) is None
    assert "left" not in line(replace(PROGRESS, queries=0))


def test_between_the_last_engine_and_the_next_there_is_no_false_start() -> None:
    assert "starting" not in line(replace(PROGRESS, engines_up=0))


counts = st.integers(0, 10**6)
seconds = st.floats(0, 1e6)


@given(done=counts, more=counts, tokens=counts, up=st.integers(0, 9), at=seconds, first=seconds)
def test_there_is_always_something_to_say(
    done: int, more: int, tokens: int, up: int, at: float, first: float
) -> None:
    said = line(
        replace(
            PROGRESS,
            queries=done,
            num_queries=done + more,
            generated_tokens=tokens,
            engines_up=up,
            elapsed_s=at,
            first_engine_s=first,
        )
    )
    assert said.isprintable()
    assert "nan" not in said
    assert "-" not in said


def test_plain_lines_are_few_and_the_last_one_is_never_lost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with PlainView() as view:
        for queries in range(20):
            view.show(replace(PROGRESS, queries=queries))
    said = capsys.readouterr()
    assert said.out == ""
    assert [text.partition("  ")[0] for text in said.err.splitlines()] == [
        "queries 0/32",
        "queries 19/32",
    ]


def test_a_line_that_was_shown_is_not_shown_again(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainView() as view:
        view.show(PROGRESS)
    assert capsys.readouterr().err == line(PROGRESS) + "\n"


def test_nothing_to_show_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainView():
        pass
    assert capsys.readouterr().err == ""


def interrupted(view: ProgressView) -> None:
    with view:
        view.show(PROGRESS)
        view.show(replace(PROGRESS, queries=9))
        raise KeyboardInterrupt


def test_an_interrupted_run_still_shows_where_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(PlainView())
    assert "queries 9/32" in capsys.readouterr().err


def test_without_a_terminal_lines_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    view = progress_view()
    assert isinstance(view, PlainView)
    with view:
        view.show(PROGRESS)
    assert "\x1b" not in capsys.readouterr().err


def test_a_live_view_writes_nothing_into_results(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveView() as view:
        view.show(PROGRESS)
    assert capsys.readouterr().out == ""


PROGRAM = """
from experiments.progress_view import progress_view
from orchestrator.progress import Progress
view = progress_view()
with view:
    for queries in range(3):
        view.show(Progress(
            queries=queries, num_queries=3, errors=0, samples_drawn=1, samples_reused=0,
            generated_tokens=9, engines_up=1, num_engines=1, elapsed_s=1.0, first_engine_s=0.0,
        ))
print(type(view).__name__)
"""


def chunks(terminal: int) -> Iterator[bytes]:
    """What has been written to it; Linux reports the end of that as an error."""
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 65_536):
            yield chunk


def on_a_terminal(program: str) -> tuple[str, str]:
    """What it writes to standard output, a pipe, and to standard error, a terminal."""
    terminal, its_end = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=its_end,
            text=True,
            check=True,
            timeout=60,
        )
        os.close(its_end)
        return done.stdout, b"".join(chunks(terminal)).decode()
    finally:
        os.close(terminal)


def test_on_a_terminal_one_line_stays_in_its_place_and_is_taken_down() -> None:
    results, shown = on_a_terminal(PROGRAM)
    assert results == "LiveView\n"
    assert "queries 2/3" in shown
    assert shown.endswith("\x1b[2K")  # the line is cleared
    assert shown.index("\x1b[?25l") < shown.index("\x1b[?25h")  # the cursor is back
