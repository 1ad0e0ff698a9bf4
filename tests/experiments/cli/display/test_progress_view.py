"""What a run shows of itself: a line now and then in a log, one line in its place on a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nbest.experiments.cli.display.account import account
from nbest.experiments.cli.display.progress_view import (
    MAX_NEWS,
    LiveView,
    PlainView,
    ProgressView,
    progress_view,
    shown_progress,
)
from nbest.experiments.cli.display.progress_words import line
from nbest.orchestrator.engines.history import EngineView, State
from nbest.orchestrator.errors import BackendError
from nbest.orchestrator.query.tally import Tally
from nbest.orchestrator.run.progress import snapshot

ROOT = Path(__file__).parents[4]


def engines(*states: State) -> tuple[EngineView, ...]:
    """engine0, engine1, ... in these states; one that is down has one restart."""
    return tuple(
        EngineView(name=f"engine{i}", state=state, restarts=state == "down")
        for i, state in enumerate(states)
    )


# A quarter done, ten seconds after the first engine was up.
PROGRESS = snapshot(
    Tally(queries=8, errors=1, samples_drawn=128, generated_tokens=500),
    num_queries=32,
    engines=engines("up", "up", "starting"),
    elapsed_s=14.0,
    first_engine_s=4.0,
)


def test_plain_lines_are_few_and_the_last_one_is_never_lost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with PlainView() as view:
        for queries in range(20):
            view.show(replace(PROGRESS, queries=queries))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [text.partition("  ")[0] for text in captured.err.splitlines()] == [
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


@pytest.mark.parametrize("view", [PlainView, LiveView])
def test_many_cut_off_samples_are_told_once_while_there_is_time(
    view: Callable[[], PlainView | LiveView], capsys: pytest.CaptureFixture[str]
) -> None:
    cut = replace(PROGRESS, answers_drawn=60, answers_cut_off=30)
    with view() as shown:
        for _ in range(3):
            shown.show(cut)
    warning = "50% of the samples so far are cut off: raise sampling.max_tokens"
    assert capsys.readouterr().err.count(warning) == 1


def test_a_live_view_writes_nothing_into_results(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveView() as view:
        view.show(PROGRESS)
    assert capsys.readouterr().out == ""


PROGRAM = """
import sys
from nbest.experiments.cli.display.progress_view import shown_progress
from nbest.orchestrator.engines.history import EngineView
from nbest.orchestrator.run.progress import snapshot
from nbest.orchestrator.query.tally import Tally
name = "[red]x[/red]\\x1b[5m"
engine = EngineView(name=name, state="up", in_flight=37, tokens_per_s=1234.4, restarts=6)
with shown_progress(is_quiet="quiet" in sys.argv) as report:
    for queries in range(4):
        tally = Tally(queries=queries, samples_drawn=4, generated_tokens=9, quarantined=2)
        report(snapshot(
            tally, num_queries=3, engines=[engine], elapsed_s=1.0, first_engine_s=0.0
        ))
print("results")
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
        process = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=its_end,
            text=True,
            check=True,
            timeout=300,
        )
        os.close(its_end)
        return process.stdout, b"".join(chunks(terminal)).decode()
    finally:
        os.close(terminal)


def test_on_a_terminal_a_run_stays_in_its_place_and_is_taken_down() -> None:
    results, screen = on_a_terminal(PROGRAM)
    assert results == "results\n"
    view, _, end = screen.rpartition("\x1b[2K")  # the last line that is cleared
    assert "queries 3/3" in view
    assert "quarantined 2" in view
    assert view.index("\x1b[?25l") < view.index("\x1b[?25h")  # the cursor is back
    assert end.splitlines() == [
        "samples: 4 drawn",
        "tokens: 9 useful",
        "engines: 1, 6 restarts",
        "time: 1 s, 9 tokens/s",
    ]


def test_on_a_terminal_there_is_a_line_an_engine_with_its_name_as_it_is() -> None:
    _, screen = on_a_terminal(PROGRAM)
    assert "[red]x[/red]?[5m" in screen
    assert "\x1b[5m" not in screen
    for cell in ("up", "37", "1,234", "6"):
        assert f" {cell} " in screen, cell


def test_quiet_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    subprocess.run([sys.executable, "-c", PROGRAM, "quiet"], cwd=ROOT, check=True, timeout=300)
    assert tuple(capfd.readouterr()) == ("results\n", "")


def test_a_plain_view_tells_at_once_when_an_engine_goes_and_comes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with PlainView() as view:
        view.show(PROGRESS)
        for states in (("up", "down"), ("up", "down"), ("up", "up")):
            view.show(replace(PROGRESS, engines=engines(*states)))
        assert capsys.readouterr().err.splitlines() == [
            line(PROGRESS),
            "engine1 down (1 restart)",
            "engine1 up again",
        ]


def test_a_cluster_that_goes_down_is_no_flood(capsys: pytest.CaptureFixture[str]) -> None:
    count = 5 * MAX_NEWS
    with PlainView() as view:
        view.show(replace(PROGRESS, engines=engines(*["up"] * count)))
        capsys.readouterr()
        view.show(replace(PROGRESS, engines=engines(*["down"] * count)))
        view.show(replace(PROGRESS, engines=engines(*["up"] * count)))
    lines = capsys.readouterr().err.splitlines()
    assert lines[:MAX_NEWS] == [f"engine{i} down (1 restart)" for i in range(MAX_NEWS)]
    rest = f"engines went down or came back {2 * count - MAX_NEWS} times more"
    assert lines[MAX_NEWS:] == [rest, line(replace(PROGRESS, engines=engines(*["up"] * count)))]


def failing(error: BaseException) -> None:
    with shown_progress() as report:
        report(PROGRESS)
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BackendError("no engine is left")])
def test_a_run_that_fails_is_accounted_for_too(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(type(error)):
        failing(error)
    assert capsys.readouterr().err.splitlines() == [line(PROGRESS), *account(PROGRESS)]


def test_a_run_that_was_complete_has_no_account(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress():
        pass
    assert capsys.readouterr().err == ""
