"""How commands end, those of studies like those of `nbest`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbest.experiments.cli.ending import Exit, run_command
from nbest.experiments.studies.near_ties import main
from nbest.orchestrator.errors import InputError, NbestError

ROOT = Path(__file__).parents[3]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Restore the signal handlers after each test."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def raising(error: BaseException) -> Callable[[], int | None]:
    def command() -> int | None:
        raise error

    return command


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        (lambda: None, Exit.OK, ""),
        (lambda: 3, Exit.SOME_ERRORS, ""),
        (raising(InputError("n must be 1\x1b[2J")), Exit.WRONG_INPUT, "error: n must be 1"),
        (raising(NbestError("no engine")), Exit.FAILED, "error: no engine"),
        (raising(KeyboardInterrupt()), Exit.INTERRUPTED, "interrupted; the same command goes on"),
        (lambda: signal.raise_signal(signal.SIGTERM), Exit.INTERRUPTED, "interrupted"),
        (lambda: signal.raise_signal(signal.SIGHUP), Exit.INTERRUPTED, "interrupted"),
        (lambda: main(["--share", "2"]), Exit.WRONG_INPUT, "error: share must lie in [0.5, 1)"),
    ],
)
def test_it_ends_in_one_line_and_a_status(
    command: Callable[[], int | None],
    status: Exit,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        run_command(command)
    assert ended.value.code == status
    written = capsys.readouterr().err
    assert written.startswith(f"nbest: {message}" if message else "")
    assert written.count("\n") == bool(message)
    assert "\x1b" not in written


def test_what_nbest_does_not_know_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command(raising(ZeroDivisionError()))


@pytest.mark.parametrize("command", [["--help"], ["bench", "--help"], ["doctor"]])
def test_a_full_disk_is_one_line(command: list[str]) -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "nbest", *command],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
        )
    assert ended.returncode == Exit.FAILED
    assert ended.stderr == "nbest: error: No space left on device\n"


def test_functions_that_run_at_exit_run_before_it_leaves() -> None:
    program = (
        "import atexit, sys; from nbest.experiments.cli.ending import leaving_at_once\n"
        "with leaving_at_once():\n"
        "    atexit.register(print, 'at exit'); print('written', end=' '); sys.exit(75)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (ended.returncode, ended.stdout) == (75, "written at exit\n")
